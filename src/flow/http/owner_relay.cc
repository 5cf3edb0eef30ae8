#include "flow/http/owner_relay.h"

#include <fmt/format.h>

#include <utility>

#include "base/api/error_answer.h"

namespace flow {

using base::Code;
using base::http::ResponderPtr;

namespace {

constexpr std::string_view kPassedOn = "X-Dougong-Passed-On";  // it is not passed on again
constexpr int kOwnerGrain = 3;                                 // looks of a second each
constexpr std::chrono::milliseconds kPause{500};
constexpr int kPausesMax = 120;  // a dead owner's runs are claimed sooner

/// As it came: the path is decoded by now.
std::string target_of(const base::http::Request& request) {
    std::string out;
    for (const char c : request.path) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || std::string_view("/-._~").contains(c);
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return request.query.empty() ? out : out + "?" + request.query;
}

base::HttpClient::Options options() {
    base::HttpClient::Options out;
    out.stall_timeout = std::chrono::milliseconds(0);  // models think
    return out;
}

}  // namespace

OwnerRelay::OwnerRelay(Runtime& runtime)
    : runtime_(runtime),
      client_(options()),
      threads_(runtime.fleet() == nullptr ? 1 : kStreamsMax, kStreamsMax) {}

OwnerRelay::~OwnerRelay() {
    stop();
}

void OwnerRelay::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stopped_.notify_all();
    threads_.stop();
}

bool OwnerRelay::was_passed_on(const base::http::Request& request) {
    return !request.headers.get(kPassedOn).empty();
}

bool OwnerRelay::is_away(RunId run, const base::http::Request& request) const {
    if (runtime_.fleet() == nullptr || was_passed_on(request)) return false;
    const auto url = runtime_.fleet()->owner_url(run);
    return url && !url->empty();
}

/// Stopped when the client is gone, this process ends, or the run has another owner.
base::HttpClient::Request OwnerRelay::to_owner(RunId run, std::string url,
                                               const base::http::Request& request,
                                               const ResponderPtr& responder) {
    base::HttpClient::Request out;
    out.url = url;
    for (const char* name : {"Authorization", "X-Dougong-Tenant", "Last-Event-ID"}) {
        const std::string_view value = request.headers.get(name);
        if (!value.empty()) out.headers.emplace_back(name, value);
    }
    out.headers.emplace_back(kPassedOn, "1");
    out.cancelled = [this, run, url = std::move(url), responder, looks = 0]() mutable {
        if (stopping_ || responder->closed()) return true;
        if (++looks % kOwnerGrain != 0) return false;
        const auto owner = runtime_.fleet()->owner_url(run);
        return owner && !url.starts_with(*owner + "/");
    };
    return out;
}

bool OwnerRelay::pass_on(RunId run, const base::http::Request& request,
                         const ResponderPtr& responder) {
    if (!is_away(run, request)) return false;
    const auto work = [this, run, request, responder] {
        const auto url = runtime_.fleet()->owner_url(run);
        if (!url || url->empty()) {
            return responder->send(base::api::error_response(
                {Code::unavailable, "the run is about to change its owner; ask again", {}}));
        }
        bool begun = false;
        const auto answer = client_.send(
            to_owner(run, *url + target_of(request), request, responder),
            [&](const base::HttpClient::Response& head, std::span<const std::byte> bytes) {
                if (!std::exchange(begun, true)) {
                    responder->begin_stream(
                        head.status,
                        {{"Content-Type", std::string(head.header("Content-Type").value_or(""))},
                         {"Cache-Control", "no-store"}});
                }
                return responder->write(
                    {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
            });
        if (begun) return responder->end();
        responder->send(base::api::error_response(
            answer ? base::Error{Code::unavailable, "the run's owner said nothing; ask again", {}}
                   : base::Error{Code::unavailable,
                                 "the run's owner does not answer: " + answer.error().message,
                                 {}}));
    };
    if (!threads_.post(work)) {
        responder->send(
            base::api::error_response({Code::resource_exhausted,
                                       "too many streams of runs at other processes; ask the owner",
                                       {}}));
    }
    return true;
}

void OwnerRelay::add_tokens(RunId run, const base::http::Request& request,
                            const ResponderPtr& responder) {
    if (responder->closed() || !is_away(run, request)) return;
    // Without a thread for it the stream of the run goes on without tokens.
    (void)threads_.post([this, run, request, responder] {
        for (int pauses = 0; pauses < kPausesMax && !stopping_ && !responder->closed();) {
            const auto url = runtime_.fleet()->owner_url(run);
            if (url && !url->empty()) {
                std::string text;
                (void)client_.send(
                    to_owner(run, *url + "/v1/runs/" + to_text(run) + "/tokens", request,
                             responder),
                    [&](const base::HttpClient::Response& head, std::span<const std::byte> bytes) {
                        if (head.status != 200) return false;
                        pauses = 0;
                        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                        // Others write to the same stream: whole events only.
                        const std::size_t end = text.rfind("\n\n");
                        if (end == std::string::npos) return true;
                        const bool open =
                            responder->write(std::string_view(text).substr(0, end + 2));
                        text.erase(0, end + 2);
                        return open;
                    });
            }
            ++pauses;
            std::unique_lock lock(mutex_);
            stopped_.wait_for(lock, kPause, [this] { return stopping_.load(); });
        }
    });
}

}  // namespace flow
