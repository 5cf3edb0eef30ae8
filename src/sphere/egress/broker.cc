#include "sphere/egress/broker.h"

#include <future>

#include "sphere/egress/core.h"
#include "sphere/net/http_head.h"

namespace sphere::egress {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

/// A header of a request can be made of it, and of nothing more.
bool fits_a_header(const SecretValue& secret) {
    std::size_t used = 0;
    const std::string head =
        "GET / HTTP/1.1\r\n" + secret.header + ": " + secret.value + "\r\n\r\n";
    const auto parsed = net::parse_request_head(head, used);
    return parsed && *parsed && used == head.size() && (*parsed)->headers.fields().size() == 1 &&
           (*parsed)->headers.get(secret.header) == secret.value;
}

}  // namespace

class Broker::Impl {
public:
    explicit Impl(Options options) : core(std::move(options)) {}

    /// Runs `task` on the loop and waits for it.
    template <class Task>
    auto on_loop(Task task) -> decltype(task()) {
        if (core.on_loop()) return task();
        std::promise<decltype(task())> done;
        auto result = done.get_future();
        core.post([&] {
            if constexpr (std::is_void_v<decltype(task())>) {
                task();
                done.set_value();
            } else {
                done.set_value(task());
            }
        });
        return result.get();
    }

    Core core;
};

Broker::Broker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Broker::~Broker() = default;

Result<std::unique_ptr<Broker>> Broker::start(Options options) {
    auto impl = std::make_unique<Impl>(std::move(options));
    DG_TRY(impl->core.start());
    return std::unique_ptr<Broker>(new Broker(std::move(impl)));
}

Result<std::shared_ptr<const Meter>> Broker::attach(const std::string& id,
                                                    const NetworkPolicy& policy,
                                                    const Secrets& secrets,
                                                    std::vector<Listener> listeners) {
    auto box = std::make_unique<Box>(id, policy);
    std::vector<audit::Secret> sought;
    for (const SecretValue& secret : secrets) {
        if (secret.header.empty()) continue;
        if (!fits_a_header(secret)) {
            return fail_on(secret.name, Code::invalid_argument,
                           "secret {} cannot be the value of the header '{}': no line ends, no "
                           "spaces around it",
                           secret.name, secret.header);
        }
        box->secrets.push_back(secret);
        sought.push_back({secret.name, secret.value});
    }
    box->redactor = DG_TRY(audit::Redactor::create(sought));
    std::shared_ptr<const Meter> meter = box->meter;
    return impl_->on_loop([&]() -> Result<std::shared_ptr<const Meter>> {
        if (impl_->core.find_box(id) != nullptr) {
            return fail_on(id, Code::already_exists, "sandbox {} is served already", id);
        }
        impl_->core.add_box(std::move(box), std::move(listeners));
        return meter;
    });
}

Result<void> Broker::set_policy(const std::string& id, const NetworkPolicy& policy) {
    return impl_->on_loop([&]() -> Result<void> {
        Box* const box = impl_->core.find_box(id);
        if (box == nullptr) {
            return fail_on(id, Code::not_found, "sandbox {} is not served by the broker", id);
        }
        box->set_policy(policy);
        impl_->core.cut_refused(*box);
        return {};
    });
}

void Broker::detach(const std::string& id) {
    impl_->on_loop([&] {
        impl_->core.remove_box(id);
        impl_->core.deliver_reports();
    });
}

}  // namespace sphere::egress
