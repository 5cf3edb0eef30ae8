#include "base/http/server.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/core/check.h"
#include "base/http/connection.h"

namespace base::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kRefusalsMax = 64;  // answered with 503 at once; more are just closed

Error explain_listen_error(const ErrorCode& error, const std::string& where) {
    if (error == asio::error::address_in_use) {
        return {
            Code::already_exists,
            fmt::format("{} is taken by another program; choose another port or 0 for any", where),
            where};
    }
    if (error == asio::error::access_denied) {
        return {Code::permission_denied,
                fmt::format("not allowed to listen on {}; ports below 1024 need privileges", where),
                where};
    }
    return {Code::invalid_argument, fmt::format("cannot listen on {}: {}", where, error.message()),
            where};
}

}  // namespace

struct Server::Impl {
    Impl(const ServerOptions& options, const Clock& clock)
        : shared{options,
                 {is_loopback(options.address) || !options.allowed_hosts.empty(),
                  options.allowed_hosts, options.cors_origins},
                 clock,
                 {},
                 {},
                 {}} {}

    /// One network thread with its own reactor: a connection never leaves it, so needs no locks.
    struct Loop {
        asio::io_context context{1};
        asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
        std::thread thread;
    };

    asio::awaitable<void> accept_loop();
    asio::awaitable<void> serve(std::shared_ptr<Connection> connection, Loop& loop);
    void each_connection(void (Connection::*action)());

    // Loops are declared before what refers to their contexts and thus destroyed after it.
    ServerShared shared;
    std::vector<std::unique_ptr<Loop>> loops;
    std::optional<tcp::acceptor> acceptor;
    std::uint16_t port = 0;
    std::atomic<std::uint64_t> connections_total{0}, refused_total{0};
    std::atomic<std::uint32_t> refusing{0};

    mutable std::mutex mutex;
    std::condition_variable all_closed;
    std::unordered_map<Connection*, std::pair<std::weak_ptr<Connection>, Loop*>> connections;
    bool started = false, stopped = false;
};

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options, const Clock& clock) {
    DG_CHECK(options.threads >= 1);
    auto impl = std::make_unique<Impl>(options, clock);
    const ServerOptions& wanted = impl->shared.options;
    for (std::uint32_t i = 0; i < wanted.threads; ++i) {
        impl->loops.push_back(std::make_unique<Impl::Loop>());
    }
    ErrorCode error;
    const auto address =
        asio::ip::make_address(wanted.address == "localhost" ? "127.0.0.1" : wanted.address, error);
    if (error) {
        return fail_on("address", Code::invalid_argument,
                       "'{}' is not an IP address; use 127.0.0.1, ::1 or 0.0.0.0", wanted.address);
    }
    const std::string where = fmt::format("{}:{}", wanted.address, wanted.port);
    tcp::acceptor acceptor(impl->loops.front()->context);
    const tcp::endpoint endpoint(address, wanted.port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return std::unexpected(explain_listen_error(error, where));
    impl->port = acceptor.local_endpoint().port();
    impl->acceptor.emplace(std::move(acceptor));
    return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() {
    stop(std::chrono::milliseconds(0));
}

Router& Server::router() {
    return impl_->shared.router;
}
std::uint16_t Server::port() const {
    return impl_->port;
}
std::string Server::address() const {
    return impl_->shared.options.address;
}
std::string Server::url() const {
    const bool v6 = address().find(':') != std::string::npos;
    return v6 ? fmt::format("http://[{}]:{}", address(), port())
              : fmt::format("http://{}:{}", address(), port());
}

ServerStats Server::stats() const {
    const std::lock_guard lock(impl_->mutex);
    return {static_cast<std::uint32_t>(impl_->connections.size()), impl_->connections_total,
            impl_->refused_total, impl_->shared.requests_total};
}

void Server::start() {
    DG_CHECK(!impl_->started);
    impl_->started = true;
    asio::co_spawn(impl_->loops.front()->context, impl_->accept_loop(), asio::detached);
    for (auto& loop : impl_->loops) {
        loop->thread = std::thread([&context = loop->context] { context.run(); });
    }
}

asio::awaitable<void> Server::Impl::accept_loop() {
    for (std::size_t turn = 0; !shared.stopping; ++turn) {
        Loop& loop = *loops[turn % loops.size()];
        auto [error, socket] = co_await acceptor->async_accept(loop.context, kAwait);
        if (shared.stopping || error == asio::error::operation_aborted) co_return;
        if (error) {
            // Out of descriptors or memory: connections that end will free some.
            asio::steady_timer pause(loops.front()->context, std::chrono::milliseconds(50));
            co_await pause.async_wait(kAwait);
            continue;
        }
        connections_total.fetch_add(1, std::memory_order_relaxed);
        auto connection = std::make_shared<Connection>(std::move(socket), shared);
        asio::co_spawn(loop.context, serve(std::move(connection), loop), asio::detached);
    }
}

asio::awaitable<void> Server::Impl::serve(std::shared_ptr<Connection> connection, Loop& loop) {
    bool room = false;
    {
        const std::lock_guard lock(mutex);
        room = connections.size() < shared.options.limits.connections_max;
        if (room)
            connections.emplace(connection.get(), std::pair{std::weak_ptr(connection), &loop});
    }
    if (!room) {
        refused_total.fetch_add(1, std::memory_order_relaxed);
        if (refusing.fetch_add(1) < kRefusalsMax) {
            asio::co_spawn(loop.context, connection->watch_deadlines(), asio::detached);
            co_await connection->refuse();
        }
        refusing.fetch_sub(1);
        connection->close_now();
        co_return;
    }
    asio::co_spawn(loop.context, connection->watch_deadlines(), asio::detached);
    co_await connection->run();
    const std::lock_guard lock(mutex);
    connections.erase(connection.get());
    if (connections.empty()) all_closed.notify_all();
}

void Server::Impl::each_connection(void (Connection::*action)()) {
    const std::lock_guard lock(mutex);
    for (const auto& [unused, entry] : connections) {
        asio::post(entry.second->context, [weak = entry.first, action] {
            if (const auto connection = weak.lock()) ((*connection).*action)();
        });
    }
}

void Server::stop(std::chrono::milliseconds patience) {
    if (impl_->stopped) return;
    impl_->stopped = true;
    impl_->shared.stopping = true;
    if (!impl_->started) return;
    asio::post(impl_->loops.front()->context, [this] {
        ErrorCode ignored;
        impl_->acceptor->close(ignored);
    });
    const auto wait_until_closed = [&](std::chrono::milliseconds limit) {
        std::unique_lock lock(impl_->mutex);
        return impl_->all_closed.wait_for(lock, limit, [&] { return impl_->connections.empty(); });
    };
    impl_->each_connection(&Connection::close_when_idle);
    if (!wait_until_closed(patience)) {
        impl_->each_connection(&Connection::close_now);
        wait_until_closed(std::chrono::milliseconds(2000));
    }
    for (auto& loop : impl_->loops) {
        loop->guard.reset();
        loop->context.stop();
        loop->thread.join();
    }
}

}  // namespace base::http
