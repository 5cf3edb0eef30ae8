#include "sphere/egress/core.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "sphere/egress/listeners.h"

namespace sphere::egress {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kScratchBytes = 256 * 1024;
constexpr std::size_t kResolvers = 4, kResolveQueueMax = 256;
constexpr std::uint32_t kSessionsPerBox = 256;
constexpr std::size_t kSessionsMax = 8192;
constexpr std::chrono::milliseconds kTick{500};
constexpr std::chrono::minutes kPinned{5};
constexpr int kEventsMax = 128;

}  // namespace

Session::Session(Core& core, Box& box) : core_(core), box_(box), id_(core.next_session_++) {
    ++box.sessions;
}

Session::~Session() {
    --box_.sessions;
}

void Session::retire() {
    if (retired_) return;
    retired_ = true;
    core_.retired_.push_back(id_);
}

void Session::set_deadline(base::Duration from_now) {
    deadline_ = core_.now() + from_now;
}

Attempt::Attempt(Core& core, Box& box, std::string target, std::string protocol)
    : core_(core), box_(box) {
    record_.target = std::move(target);
    record_.protocol = std::move(protocol);
    record_.allowed = true;
}

Refusal Attempt::admit() {
    const std::uint64_t max = box_.policy.calls_max;
    if (max != 0 && box_.meter->calls >= max) {
        return fmt::format("calls_max, {}, is used up", max);
    }
    if (box_.bytes_left() == 0) {
        return fmt::format("bytes_max, {}, is used up", box_.policy.bytes_max);
    }
    ++box_.meter->calls;
    return std::nullopt;
}

void Attempt::refuse(const std::string& why) {
    if (!open_) return;
    record_.allowed = false;
    record_.reason = why;
    ++box_.meter->refused;
    finish();
}

void Attempt::finish() {
    if (!open_) return;
    open_ = false;
    core_.report(box_, std::move(record_));
}

void Attempt::count_out(std::size_t bytes) {
    record_.bytes_out += bytes;
    box_.meter->bytes_out += bytes;
}

void Attempt::count_in(std::size_t bytes) {
    record_.bytes_in += bytes;
    box_.meter->bytes_in += bytes;
}

void Box::set_policy(const NetworkPolicy& network) {
    policy = network;
    rules = Rules(network);
    names.unpin();
}

std::uint64_t Box::bytes_left() const {
    if (policy.bytes_max == 0) return UINT64_MAX;
    const std::uint64_t used = meter->bytes_out + meter->bytes_in;
    return used >= policy.bytes_max ? 0 : policy.bytes_max - used;
}

Core::Core(Broker::Options options)
    : options_(std::move(options)),
      resolvers_(kResolvers, kResolveQueueMax),
      scratch_(kScratchBytes) {
    if (options_.upstream == nullptr) options_.upstream = system_upstream();
}

Core::~Core() {
    stop();
    if (tls_ != nullptr) ::SSL_CTX_free(tls_);
}

Result<void> Core::start() {
    epoll_ = base::UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    wake_ = base::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{EPOLLIN, {.ptr = nullptr}};
    if (!epoll_ || !wake_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
        return fail(Code::unavailable, "epoll: {}", std::strerror(errno));
    }
    thread_ = std::thread([this] { run(); });
    return {};
}

void Core::stop() {
    resolvers_.stop();
    if (!thread_.joinable()) return;
    post([this] {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    });
    thread_.join();
}

void Core::post(std::function<void()> task) {
    {
        const std::lock_guard lock(mutex_);
        posted_.push_back(std::move(task));
    }
    const std::uint64_t one = 1;
    if (::write(wake_.get(), &one, sizeof(one)) < 0) return;  // full: it is awake anyway
}

void Core::watch(int fd, Handler& handler, std::uint32_t events) {
    epoll_event event{events, {.ptr = &handler}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Core::rearm(int fd, Handler& handler, std::uint32_t events) {
    epoll_event event{events, {.ptr = &handler}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Core::unwatch(int fd) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Core::run() {
    sigset_t pipes;  // a peer that is gone is a failed write here, not this process's end
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipes, nullptr);
    std::array<epoll_event, kEventsMax> events;
    for (bool stops = false; !stops;) {
        const int wait = sessions_.empty() ? -1 : static_cast<int>(kTick.count());
        const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, wait);
        run_posted();
        for (int i = 0; i < count; ++i) {
            auto* const handler =
                static_cast<Handler*>(events[static_cast<std::size_t>(i)].data.ptr);
            if (handler != nullptr) handler->on_ready();
        }
        if (now() - checked_at_ >= kTick) check_deadlines();
        // Only now: an event of this round may have named them.
        for (const std::uint64_t id : std::exchange(retired_, {})) {
            const auto at = sessions_.find(id);
            Box& box = at->second->box();
            sessions_.erase(at);
            wake_listeners(box);
        }
        removed_.clear();
        deliver_reports();
        const std::lock_guard lock(mutex_);
        stops = stopping_;
    }
    std::vector<std::string> ids;
    for (const auto& [id, box] : boxes_) ids.push_back(id);
    for (const std::string& id : ids) remove_box(id);
    sessions_.clear();
    removed_.clear();
    deliver_reports();
}

void Core::run_posted() {
    std::uint64_t count;
    if (::read(wake_.get(), &count, sizeof(count)) < 0) return;
    std::vector<std::function<void()>> tasks;
    {
        const std::lock_guard lock(mutex_);
        tasks.swap(posted_);
    }
    for (const auto& task : tasks) task();
}

void Core::check_deadlines() {
    checked_at_ = now();
    for (const auto& [id, session] : sessions_) {
        if (!session->retired() && session->deadline() <= checked_at_) session->on_deadline();
    }
    for (const auto& [id, box] : boxes_) wake_listeners(*box);
}

void Core::add_box(std::unique_ptr<Box> box, std::vector<Listener> listeners) {
    Box& added = *box;
    boxes_[added.id] = std::move(box);
    for (Listener& each : listeners) {
        added.listeners.push_back(make_listener(*this, added, std::move(each)));
    }
}

Box* Core::find_box(const std::string& id) {
    const auto at = boxes_.find(id);
    return at == boxes_.end() ? nullptr : at->second.get();
}

void Core::remove_box(const std::string& id) {
    const auto at = boxes_.find(id);
    if (at == boxes_.end()) return;
    for (const auto& [number, session] : sessions_) {
        if (&session->box() == at->second.get() && !session->retired()) {
            session->on_cut("the sandbox ended");
        }
    }
    for (const auto& listener : at->second->listeners) listener->close();
    at->second->resolving.clear();
    removed_.push_back(std::move(at->second));
    boxes_.erase(at);
}

void Core::cut_refused(Box& box) {
    for (const auto& [number, session] : sessions_) {
        if (&session->box() == &box && !session->retired()) session->check_rules();
    }
}

void Core::add_session(std::unique_ptr<Session> session) {
    sessions_[session->id()] = std::move(session);
}

Session* Core::find_session(std::uint64_t id) {
    const auto at = sessions_.find(id);
    return at == sessions_.end() || at->second->retired() ? nullptr : at->second.get();
}

bool Core::may_accept(const Box& box) const {
    return box.sessions < kSessionsPerBox && sessions_.size() < kSessionsMax;
}

void Core::wake_listeners(Box& box) {
    for (const auto& listener : box.listeners) listener->rearm();
}

void Core::resolve(Box& box, Names::Entry& entry, ResolveDone done) {
    if (!entry.pinned.empty() && now() < entry.pinned_until) {
        return done({Resolved::State::found, entry.pinned, ""});
    }
    auto& waiting = box.resolving[entry.name];
    waiting.push_back(std::move(done));
    if (waiting.size() > 1) return;
    const bool taken = resolvers_.post([this, id = box.id, name = entry.name] {
        auto found = options_.upstream->resolve(name);
        post([this, id, name, found = std::move(found)] {
            if (Box* const asked = find_box(id)) finish_resolve(*asked, name, found);
        });
    });
    if (!taken) {
        finish_resolve(box, entry.name, fail(Code::resource_exhausted, "too many look-ups wait"));
    }
}

void Core::finish_resolve(Box& box, const std::string& name,
                          const Result<std::vector<net::Address>>& found) {
    Resolved result;
    if (!found) {
        result.state = found.error().code == Code::not_found ? Resolved::State::no_name
                                                             : Resolved::State::failed;
        result.why = found.error().message;
    } else {
        for (const net::Address& address : *found) {
            if (const Refusal why = box.rules.refuse_resolved(address)) {
                result.why = fmt::format("{} resolves to {}", name, *why);
            } else {
                result.addresses.push_back(address);
            }
        }
        result.state = !result.addresses.empty() ? Resolved::State::found
                       : found->empty()          ? Resolved::State::no_name
                                                 : Resolved::State::closed;
    }
    if (result.state == Resolved::State::found) {
        if (Names::Entry* const entry = box.names.find_or_add(name)) {
            entry->pinned = result.addresses;
            entry->pinned_until = now() + kPinned;
        }
    }
    auto waiting = box.resolving.extract(name);
    if (waiting.empty()) return;
    for (const ResolveDone& done : waiting.mapped()) done(result);
}

void Core::report(const Box& box, NetworkAttempt attempt) {
    if (options_.on_attempt) reports_.emplace_back(box.id, std::move(attempt));
}

void Core::deliver_reports() {
    // In rounds: a callback may end a box, which reports what that box still had open.
    while (!reports_.empty()) {
        for (const auto& [box, attempt] : std::exchange(reports_, {})) {
            options_.on_attempt(box, attempt);
        }
    }
}

Result<SSL_CTX*> Core::tls_context() {
    if (tls_ != nullptr) return tls_;
    SSL_CTX* const context = ::SSL_CTX_new(::TLS_client_method());
    if (context == nullptr) return fail(Code::internal, "no TLS context");
    const std::string file = options_.upstream->ca_file();
    const int trusted = file.empty()
                            ? ::SSL_CTX_set_default_verify_paths(context)
                            : ::SSL_CTX_load_verify_locations(context, file.c_str(), nullptr);
    if (trusted != 1) {
        ::SSL_CTX_free(context);
        return fail(Code::failed_precondition,
                    "no certificate authorities to check an upstream by: {}",
                    file.empty() ? "the system's store does not load" : file);
    }
    ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    ::SSL_CTX_set_mode(context,
                       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    tls_ = context;
    return context;
}

}  // namespace sphere::egress
