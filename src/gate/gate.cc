#include "gate/gate.h"

#include <fmt/format.h>

#include <algorithm>

#include "gate/gateway_impl.h"
#include "gate/generation.h"

namespace gate {
namespace {

constexpr std::size_t kCallerBytesMax = 128;
constexpr std::size_t kSlowThreads = 2, kSlowQueueMax = 32;

/// Ids come back in headers and logs, so only short, plain ones are taken from clients.
bool acceptable_id(std::string_view id) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, plain);
}

/// Changes when something that could change answers does.
std::string fingerprint_of(const GatewayOptions& options) {
    const std::string& commit = options.commit;
    return fmt::format("fp_{}_{}", options.version, commit.empty() ? "dev" : commit.substr(0, 10));
}

}  // namespace

Gateway::Gateway(GatewayDeps deps, GatewayOptions options)
    : impl_(std::make_unique<Impl>(deps, std::move(options))) {}
Gateway::~Gateway() {
    stop();
}
void Gateway::register_routes(base::http::Server& server) {
    impl_->register_routes(server);
}
void Gateway::begin_drain() {
    impl_->begin_drain();
}
void Gateway::stop() {
    impl_->stop();
}

namespace {

std::vector<double> latency_bounds() {
    return base::metrics::exponential_bounds(0.001, 2, 18);
}

}  // namespace

Gateway::Impl::Impl(GatewayDeps d, GatewayOptions o)
    : deps(d),
      options(std::move(o)),
      parse_limits{.n_max = options.n_max,
                   .prompts_max = options.prompts_max,
                   .embed_inputs_max = options.embed_inputs_max,
                   .documents_max = options.embed_inputs_max},
      system_fingerprint(fingerprint_of(options)),
      started_unix_ms(deps.clock.unix_ns() / 1'000'000),
      request_log(options.request_log_rows),
      live_stats(deps.clock.now()),
      responses(options.responses_max, options.responses_bytes_max),
      metrics{deps.metrics.counter("dougong_gate_prompt_tokens_total", "Prompt tokens received."),
              deps.metrics.counter("dougong_gate_completion_tokens_total", "Tokens generated."),
              deps.metrics.counter("dougong_gate_cached_tokens_total",
                                   "Prompt tokens found in the KV cache."),
              deps.metrics.counter("dougong_gate_disconnects_total",
                                   "Requests whose client left before the answer was complete."),
              deps.metrics.gauge("dougong_gate_requests_in_flight", "API requests in progress."),
              deps.metrics.histogram("dougong_gate_ttft_seconds", "Time to first token.",
                                     latency_bounds()),
              deps.metrics.histogram("dougong_gate_itl_seconds",
                                     "Time between two tokens of one request.",
                                     base::metrics::exponential_bounds(0.0005, 2, 14))},
      rng(base::entropy64()),
      prompt_worker(options.prompt_threads, options.prompt_queue_max),
      embed_worker(options.embed_threads, options.embed_queue_max),
      slow_worker(kSlowThreads, kSlowQueueMax) {
    sampler = std::thread([this] { sample_every_second(); });
}

void Gateway::Impl::register_routes(base::http::Server& target) {
    server = &target;
    base::http::Router& router = target.router();
    using base::http::Request;
    using base::http::ResponderPtr;
    const auto post = [&](std::string_view path, auto handler) {
        router.add("POST", path, [this, handler](const Request& request, const ResponderPtr& to) {
            handler(*this, request, to);
        });
    };
    post("/v1/chat/completions", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_generation(request, to, Api::chat);
    });
    post("/v1/completions", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_generation(request, to, Api::completions);
    });
    post("/v1/responses", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_generation(request, to, Api::responses);
    });
    post("/v1/rerank", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_rank(request, to, true);
    });
    post("/v1/score", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_rank(request, to, false);
    });
    post("/v1/embeddings", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_embeddings(request, to);
    });
    post("/tokenize", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_tokenize(request, to);
    });
    post("/detokenize", [](Impl& self, const Request& request, const ResponderPtr& to) {
        self.handle_detokenize(request, to);
    });
    register_responses_routes(router);
    register_stream_routes(router);
    register_cache_routes(router);
    register_info_routes(router);
    register_admin_routes(router);
}

void Gateway::Impl::begin_drain() {
    std::vector<base::http::ResponderPtr> listeners;
    {
        const std::lock_guard lock(mutex);
        draining = true;
        listeners.swap(stats_listeners);
    }
    // These streams have no end of their own and would use up the whole patience of a stop.
    for (const auto& listener : listeners) listener->end();
}

void Gateway::Impl::stop() {
    begin_drain();
    {
        const std::lock_guard lock(mutex);
        stopping = true;
    }
    stop_sampler.notify_all();
    if (sampler.joinable()) sampler.join();
    prompt_worker.stop();  // after this no generation starts
    embed_worker.stop();
    slow_worker.stop();
    std::vector<std::shared_ptr<Generation>> running;
    {
        const std::lock_guard lock(mutex);
        running.assign(generations.begin(), generations.end());
    }
    for (const auto& generation : running) generation->cancel();
    running.clear();
    // The backend promises an end for each; until then its listeners refer to this object.
    std::unique_lock lock(mutex);
    idle.wait(lock, [&] { return generations.empty(); });
}

CallPtr Gateway::Impl::begin_call(const base::http::Request& request,
                                  const base::http::ResponderPtr& responder) {
    auto call = std::make_shared<Call>();
    call->responder = responder;
    call->arrived = request.arrived;
    call->arrived_unix_ns = deps.clock.unix_ns() - (deps.clock.now() - request.arrived).count();
    call->route = request.route;
    RequestRecord& record = call->record;
    std::optional<base::trace::Context> parent;
    if (auto received = base::trace::parse_traceparent(request.headers.get("traceparent"))) {
        parent = std::move(*received);
        const std::string_view state = request.headers.get("tracestate");
        if (base::trace::valid_tracestate(state)) parent->tracestate = std::string(state);
        call->parent_span = parent->span_id;
    }
    std::uint64_t random = 0;
    {
        const std::lock_guard lock(mutex);
        call->trace = base::trace::new_context(rng, parent);
        random = rng.next();
    }
    const std::string_view wanted = request.headers.get("x-request-id");
    // An id that is in the log already would make two rows indistinguishable.
    const bool usable = acceptable_id(wanted) && !request_log.contains(wanted);
    record.id = usable ? std::string(wanted) : fmt::format("req_{:016x}", random);
    record.trace_id = base::trace::to_hex(call->trace.trace_id);
    record.unix_ms = call->arrived_unix_ns / 1'000'000;
    record.method = request.method;
    record.path = request.path;
    record.client = request.peer;
    record.user_agent = std::string(request.headers.get("User-Agent").substr(0, 200));
    responder->add_header("x-request-id", record.id);
    responder->add_header("traceparent", base::trace::format_traceparent(call->trace));
    if (!call->trace.tracestate.empty()) {
        responder->add_header("tracestate", call->trace.tracestate);
    }
    metrics.in_flight.add(1);
    return call;
}

std::optional<ApiError> Gateway::Impl::read_caller(const base::http::Request& request, Call& call) {
    const auto read = [&](std::string_view header, std::string& to) -> std::optional<ApiError> {
        const std::string_view value = request.headers.get(header);
        const bool plain = std::ranges::all_of(value, [](char c) { return c > 0x20 && c < 0x7f; });
        if (plain && value.size() <= kCallerBytesMax) {
            to = value;
            return std::nullopt;
        }
        return request_error({base::Code::invalid_argument,
                              fmt::format("the header {} must be up to {} printable ASCII "
                                          "characters without spaces",
                                          header, kCallerBytesMax),
                              std::string(header)});
    };
    if (auto fault = read("X-Dougong-Tenant", call.tenant)) return fault;
    return read("X-Session-Id", call.session);
}

void Gateway::Impl::answer(const CallPtr& call, base::http::Response response) {
    call->record.status = response.status;
    call->responder->send(std::move(response));
    finish_call(*call);
}

void Gateway::Impl::fail(const CallPtr& call, const ApiError& error) {
    call->record.error_code = error.code;
    call->record.error_message = error.message.substr(0, 500);
    answer(call, render(error));
}

namespace {

base::trace::Span base_span(const Call& call) {
    base::trace::Span span;
    span.trace_id = call.trace.trace_id;
    span.tracestate = call.trace.tracestate;
    return span;
}

}  // namespace

void Gateway::Impl::finish_call(Call& call) {
    RequestRecord& record = call.record;
    const base::Instant now = deps.clock.now();
    record.total_ms = base::to_millis(now - call.arrived);
    const bool failed = record.status >= 400 || !record.error_code.empty();
    metrics.in_flight.add(-1);
    deps.metrics
        .counter("dougong_gate_requests_total", "API requests answered.",
                 {{"route", call.route}, {"status", fmt::format("{}", record.status)}})
        .add();
    deps.metrics
        .histogram("dougong_gate_request_seconds",
                   "From the last request byte to the answer's end.", latency_bounds(),
                   {{"route", call.route}})
        .observe(*record.total_ms / 1000);
    metrics.prompt_tokens.add(static_cast<double>(record.prompt_tokens));
    metrics.completion_tokens.add(static_cast<double>(record.completion_tokens));
    metrics.cached_tokens.add(static_cast<double>(record.cached_tokens));
    if (record.ttft_ms) metrics.ttft_seconds.observe(*record.ttft_ms / 1000);
    live_stats.record(now, {record.ttft_ms, record.itl_ms, record.total_ms, failed});
    deps.logger.info("request",
                     {{"id", record.id},
                      {"method", record.method},
                      {"path", record.path},
                      {"status", record.status},
                      {"model", record.model},
                      {"stream", record.stream},
                      {"finish", record.finish},
                      {"error", record.error_code},
                      {"prompt_tokens", record.prompt_tokens},
                      {"completion_tokens", record.completion_tokens},
                      {"ttft_ms", record.ttft_ms.value_or(0)},
                      {"total_ms", *record.total_ms}},
                     record.trace_id);
    if (deps.spans != nullptr && call.trace.sampled) {
        base::trace::Span root = base_span(call);
        root.span_id = call.trace.span_id;
        root.parent_id = call.parent_span;
        root.name = record.method + " " + call.route;
        root.server = true;
        root.start_unix_ns = call.arrived_unix_ns;
        root.end_unix_ns = call.arrived_unix_ns + (now - call.arrived).count();
        root.failed = record.status >= 500;
        root.attributes = {
            {"http.request.method", record.method},
            {"http.route", call.route},
            {"http.response.status_code", std::int64_t{record.status}},
            {"gen_ai.request.model", record.model},
            {"gen_ai.usage.input_tokens", static_cast<std::int64_t>(record.prompt_tokens)},
            {"gen_ai.usage.output_tokens", static_cast<std::int64_t>(record.completion_tokens)},
            {"dougong.request_id", record.id}};
        deps.spans->record(std::move(root));
        for (const RequestSpan& phase : record.spans) {
            base::trace::Span span = base_span(call);
            {
                const std::lock_guard lock(mutex);
                span.span_id = base::trace::new_context(rng, call.trace).span_id;
            }
            span.parent_id = call.trace.span_id;
            span.name = std::string(phase.name);
            span.start_unix_ns =
                call.arrived_unix_ns + static_cast<std::int64_t>(phase.start_ms * 1e6);
            span.end_unix_ns = call.arrived_unix_ns + static_cast<std::int64_t>(phase.end_ms * 1e6);
            deps.spans->record(std::move(span));
        }
    }
    request_log.add(std::move(record));
}

std::optional<ApiError> Gateway::Impl::refusal() const {
    if (draining) {
        return backend_error(
            {base::Code::unavailable, "the server is shutting down; try again", {}});
    }
    if (!deps.backend.ready()) {
        return backend_error(
            {base::Code::unavailable, "the model is still loading; try again in a moment", {}});
    }
    return std::nullopt;
}

}  // namespace gate
