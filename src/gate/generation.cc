#include "gate/generation.h"

#include <fmt/format.h>

#include <algorithm>

namespace gate {
namespace {

constexpr std::size_t kPendingBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kInlineBodyBytes = 64 * 1024;  // about 0.1 ms of parsing

class ChoiceListener final : public GenerationListener {
public:
    ChoiceListener(std::shared_ptr<Generation> generation, std::size_t index)
        : generation_(std::move(generation)), index_(index) {}
    void on_delta(const TokenDelta& delta) override { generation_->on_delta(index_, delta); }
    void on_end(const GenerationEnd& end) override { generation_->on_end(index_, end); }

private:
    const std::shared_ptr<Generation> generation_;
    const std::size_t index_;
};

AnswerWriter::Facts facts_of(const Gateway::Impl& gateway, const Call& call,
                             const GenerationCall& parsed) {
    AnswerWriter::Facts facts;
    facts.chat = parsed.chat;
    facts.include_usage = parsed.include_usage;
    facts.logprobs = parsed.request.top_logprobs.has_value();
    const std::string_view id = call.record.id;
    facts.id = (parsed.chat ? "chatcmpl-" : "cmpl-") +
               std::string(id.starts_with("req_") ? id.substr(4) : id);
    facts.model = parsed.request.model;
    facts.system_fingerprint = gateway.system_fingerprint;
    facts.created_unix_s = call.arrived_unix_ns / 1'000'000'000;
    return facts;
}

std::string_view finish_name(const GenerationEnd& end) {
    switch (end.finish) {
        case Finish::cancelled:
            return "cancelled";
        case Finish::deadline:
            return "deadline";
        default:
            return finish_reason(end.finish);
    }
}

void add_span(RequestRecord& record, std::string_view name, std::optional<double>& duration_ms,
              base::Instant origin, base::Instant from, base::Instant to) {
    if (from.ns == 0 || to.ns == 0 || to < from) return;
    duration_ms = base::to_millis(to - from);
    record.spans.push_back({name, base::to_millis(from - origin), base::to_millis(to - origin)});
}

}  // namespace

Generation::Generation(Gateway::Impl& gateway, CallPtr call, GenerationCall parsed, ModelCard model)
    : gateway_(gateway),
      call_(std::move(call)),
      parsed_(std::move(parsed)),
      writer_(facts_of(gateway, *call_, parsed_)),
      choices_(parsed_.prompts.size() * parsed_.n) {
    call_->record.model = std::move(model.id);
    call_->record.stream = parsed_.stream;
}

GenerationRequest Generation::request_for(std::size_t index) const {
    GenerationRequest request = parsed_.request;
    request.prompt = parsed_.prompts[index / parsed_.n];
    if (request.sampling.seed) *request.sampling.seed += index % parsed_.n;
    if (const auto limit = gateway_.options.request_deadline; limit.count() > 0) {
        request.deadline = call_->arrived + limit;
    }
    return request;
}

base::Result<void> Generation::echo_prompts() {
    if (!parsed_.echo) return {};
    for (std::size_t i = 0; i < choices_.size(); ++i) {
        const Prompt& prompt = parsed_.prompts[i / parsed_.n];
        choices_[i].answer.text =
            prompt.text
                ? *prompt.text
                : DG_TRY(gateway_.deps.backend.detokenize(parsed_.request.model, *prompt.tokens));
    }
    return {};
}

void Generation::start() {
    if (const auto echoed = echo_prompts(); !echoed) return abandon_start(echoed.error());
    for (std::size_t i = 0; i < choices_.size(); ++i) {
        if (!start_choice(i)) return;
    }
}

/// False: the rest must not be started.
bool Generation::start_choice(std::size_t index) {
    bool cancelled = false;
    {
        const std::lock_guard lock(mutex_);
        cancelled = cancelled_;
        if (cancelled) {
            // Nobody will end the choices that never start.
            for (std::size_t i = index; i < choices_.size(); ++i) {
                choices_[i].ended = true;
                choices_[i].answer.end.finish = Finish::cancelled;
                ++ended_;
            }
            if (ended_ < choices_.size()) return false;
        }
    }
    if (cancelled) {
        complete();
        return false;
    }
    auto handle = gateway_.deps.backend.start(
        request_for(index), std::make_shared<ChoiceListener>(shared_from_this(), index));
    if (!handle) {
        abandon_start(handle.error());
        return false;
    }
    bool cancel_now = false;
    {
        const std::lock_guard lock(mutex_);
        choices_[index].handle = *handle;
        cancel_now = cancelled_ || too_slow_;
    }
    if (cancel_now) gateway_.deps.backend.cancel(*handle);
    return true;
}

/// A choice was refused: the request fails as a whole and the choices already running end.
void Generation::abandon_start(const base::Error& error) {
    std::vector<GenerationHandle> handles;
    bool begun = false;
    {
        const std::lock_guard lock(mutex_);
        refused_ = true;
        begun = begun_;
        handles = handles_locked();
    }
    cancel_handles(handles);
    const ApiError api_error = told(error);
    if (begun) {
        call_->responder->write(fmt::format("data: {}\n\n", error_json(api_error)));
        call_->responder->end();
    }
    fail(api_error);
}

/// A prompt that is too long is in `messages` or in `prompt`.
ApiError Generation::told(const base::Error& error) const {
    return backend_error(error, parsed_.chat ? "messages" : "prompt");
}

void Generation::fail(const ApiError& error) {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
        refused_ = true;
    }
    gateway_.fail(call_, error);
    gateway_.untrack(shared_from_this());
}

std::vector<GenerationHandle> Generation::handles_locked() const {
    std::vector<GenerationHandle> handles;
    for (const Choice& choice : choices_) {
        if (choice.handle && !choice.ended) handles.push_back(*choice.handle);
    }
    return handles;
}

void Generation::cancel_handles(const std::vector<GenerationHandle>& handles) {
    for (const GenerationHandle handle : handles) gateway_.deps.backend.cancel(handle);
}

void Generation::cancel() {
    std::vector<GenerationHandle> handles;
    bool all_ended = false;
    {
        const std::lock_guard lock(mutex_);
        if (finished_ || std::exchange(cancelled_, true)) return;
        handles = handles_locked();
        all_ended = ended_ == choices_.size();
    }
    cancel_handles(handles);
    if (all_ended) complete();
}

void Generation::on_delta(std::size_t index, const TokenDelta& delta) {
    std::vector<GenerationHandle> too_slow;
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_ || refused_) return;
        ChoiceText& answer = choices_[index].answer;
        answer.text += delta.text;
        if (parsed_.request.top_logprobs) answer.logprobs.add(parsed_.chat, delta);
        if (!parsed_.stream) return;
        pending_bytes_ += delta.text.size() + (delta.chosen ? 100 * (1 + delta.top.size()) : 0);
        if (pending_bytes_ > kPendingBytesMax && !std::exchange(too_slow_, true)) {
            too_slow = handles_locked();
        }
        if (delta.text.empty() && !delta.chosen) return;
    }
    cancel_handles(too_slow);
    pump_stream();
}

void Generation::on_end(std::size_t index, const GenerationEnd& end) {
    bool last = false;
    {
        const std::lock_guard lock(mutex_);
        Choice& choice = choices_[index];
        if (std::exchange(choice.ended, true)) return;
        choice.answer.text += end.text;
        choice.answer.end = end;
        last = ++ended_ == choices_.size();
        if (refused_) return;
        // An error before the first event can still be told with a status.
        const bool told_by_status = !begun_ && first_error_locked().has_value();
        if (parsed_.stream && !cancelled_ && !told_by_status) last = false;
    }
    if (last) return complete();
    if (parsed_.stream) pump_stream();
}

/// Sends the head before the first event, so that errors until then have their own status.
void Generation::pump_stream() {
    bool begin = false;
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_ || refused_) return;
        if (!begun_ && first_error_locked()) return;  // complete() answers once all have ended
        begin = !std::exchange(begun_, true);
        if (begin) stream_started_ = gateway_.deps.clock.now();
    }
    base::http::Responder& responder = *call_->responder;
    if (begin) {
        responder.begin_stream(200, {{"Content-Type", "text/event-stream; charset=utf-8"},
                                     {"Cache-Control", "no-cache"},
                                     {"X-Accel-Buffering", "no"}});
        responder.set_source([self = shared_from_this()](std::string& out) { self->fill(out); });
    }
    responder.notify();
}

/// Network thread: everything that came since the last time, merged into one event per choice.
void Generation::fill(std::string& out) {
    bool done = false;
    {
        const std::lock_guard lock(mutex_);
        if (finished_ || refused_ || cancelled_) return;
        for (std::size_t i = 0; i < choices_.size(); ++i) append_events_locked(out, i);
        pending_bytes_ = 0;
        done = ended_ == choices_.size();
        if (done) {
            append_stream_end_locked(out);
            stream_ended_ = gateway_.deps.clock.now();
        }
    }
    if (!done) return;
    call_->responder->end();
    finish(200);
}

void Generation::append_events_locked(std::string& out, std::size_t index) {
    Choice& choice = choices_[index];
    const auto number = static_cast<std::uint32_t>(index);
    const bool has_text = !choice.answer.text.empty() || !choice.answer.logprobs.empty();
    if (parsed_.chat && !choice.role_sent && (has_text || choice.ended)) {
        choice.role_sent = true;
        writer_.append_role_event(out, number);
    }
    if (has_text) {
        writer_.append_delta_event(out, number, choice.answer.text, &choice.answer.logprobs);
        choice.answer.text.clear();
    }
    if (choice.ended && !std::exchange(choice.finish_sent, true)) {
        const bool failed = choice.answer.end.finish == Finish::error || too_slow_;
        if (!failed) writer_.append_finish_event(out, number, choice.answer.end);
    }
}

void Generation::append_stream_end_locked(std::string& out) {
    if (const auto error = first_error_locked()) {
        out += "data: " + error_json(told(*error)) + "\n\n";
    } else if (parsed_.include_usage) {
        writer_.append_usage_event(out, usage_locked(), timings_of(choices_.front().answer.end));
    }
    AnswerWriter::append_done(out);
}

UsageTotals Generation::usage_locked() const {
    UsageTotals usage;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
        const GenerationEnd& end = choices_[i].answer.end;
        usage.completion_tokens += end.completion_tokens;
        if (i % parsed_.n != 0) continue;  // the choices of one prompt share it
        usage.prompt_tokens += end.prompt_tokens;
        usage.cached_tokens += end.cached_tokens;
    }
    return usage;
}

std::optional<base::Error> Generation::first_error_locked() const {
    if (too_slow_) {
        return base::Error{
            base::Code::cancelled, "the client reads too slowly; generation stopped", {}};
    }
    for (const Choice& choice : choices_) {
        if (!choice.ended || choice.answer.end.finish != Finish::error) continue;
        return choice.answer.end.error.value_or(
            base::Error{base::Code::internal, "generation failed", {}});
    }
    return std::nullopt;
}

void Generation::complete() {
    std::string body;
    std::optional<base::Error> error;
    bool cancelled = false, begun = false;
    {
        const std::lock_guard lock(mutex_);
        if (finished_) return;
        cancelled = cancelled_;
        begun = begun_;
        error = first_error_locked();
        if (!cancelled && !error) {
            std::vector<ChoiceText*> answers;
            for (Choice& choice : choices_) answers.push_back(&choice.answer);
            body = writer_.whole_answer(answers, usage_locked());
        }
    }
    if (cancelled) {
        gateway_.metrics.disconnects.add();
        if (begun) {
            call_->responder->end();
        } else {  // heard only when the gateway stops and the client is still there
            call_->responder->send(render(backend_error(
                {base::Code::unavailable, "the server is shutting down; try again", {}})));
        }
        return finish(begun ? 200 : 499);
    }
    if (error) {
        const ApiError api_error = told(*error);
        call_->responder->send(render(api_error));
        return finish(api_error.status);
    }
    call_->responder->send(base::http::text_response(200, "application/json", std::move(body)));
    finish(200);
}

void Generation::finish(int status) {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
        call_->record.status = status;
        fill_record_locked(call_->record);
    }
    gateway_.finish_call(*call_);
    gateway_.untrack(shared_from_this());
}

void Generation::fill_record_locked(RequestRecord& record) const {
    const GenerationEnd& first = choices_.front().answer.end;
    base::Instant finished = first.finished;
    for (const Choice& choice : choices_) finished = std::max(finished, choice.answer.end.finished);
    const UsageTotals usage = usage_locked();
    record.prompt_tokens = usage.prompt_tokens;
    record.cached_tokens = usage.cached_tokens;
    record.completion_tokens = usage.completion_tokens;
    record.finish = finish_name(first);
    if (cancelled_) record.finish = "cancelled";
    if (const auto error = first_error_locked()) {
        record.error_code = base::code_name(error->code);
        record.error_message = error->message.substr(0, 500);
    }
    const base::Instant origin = call_->arrived;
    add_span(record, "template", record.template_ms, origin, first.received, first.templated);
    add_span(record, "queue", record.queue_ms, origin, first.templated, first.started);
    add_span(record, "prefill", record.prefill_ms, origin, first.started, first.first_token);
    add_span(record, "decode", record.decode_ms, origin, first.first_token, finished);
    add_span(record, "stream", record.stream_ms, origin, stream_started_, stream_ended_);
    if (first.first_token.ns != 0) record.ttft_ms = base::to_millis(first.first_token - origin);
    if (record.decode_ms && *record.decode_ms > 0 && usage.completion_tokens > 1) {
        record.tokens_per_s =
            static_cast<double>(usage.completion_tokens - 1) * 1000 / *record.decode_ms;
    }
    if (record.decode_ms && first.completion_tokens > 1) {
        record.itl_ms =
            base::to_millis(first.finished - first.first_token) / (first.completion_tokens - 1);
    }
}

void Gateway::Impl::track(const std::shared_ptr<Generation>& generation) {
    const std::lock_guard lock(mutex);
    generations.insert(generation);
}

void Gateway::Impl::untrack(const std::shared_ptr<Generation>& generation) {
    const std::lock_guard lock(mutex);
    generations.erase(generation);
    if (generations.empty()) idle.notify_all();
}

void Gateway::Impl::handle_generation(const base::http::Request& request,
                                      const base::http::ResponderPtr& responder, bool chat) {
    const CallPtr call = begin_call(request, responder);
    if (request.body.size() <= kInlineBodyBytes) return accept_generation(call, request.body, chat);
    // Parsing megabytes would hold up every stream on this network thread.
    if (!prompt_worker.post(
            [this, call, body = request.body, chat] { accept_generation(call, body, chat); })) {
        fail(call, prompts_full());
    }
}

ApiError Gateway::Impl::prompts_full() const {
    return backend_error(
        {base::Code::resource_exhausted,
         fmt::format("{} requests are waiting, which is the limit; try again later",
                     options.prompt_queue_max),
         {}});
}

void Gateway::Impl::accept_generation(const CallPtr& call, std::string_view body, bool chat) {
    auto parsed = chat ? parse_chat_request(body, parse_limits)
                       : parse_completion_request(body, parse_limits);
    if (!parsed) return fail(call, request_error(parsed.error()));
    call->record.stream = parsed->stream;
    call->record.model = parsed->request.model.substr(0, 200);
    if (const auto refused = refusal()) return fail(call, *refused);
    auto model = choose_model(deps.backend.models(), parsed->request.model, Task::generate);
    if (!model) return fail(call, model_error(model.error()));
    parsed->request.model = model->id;
    if (!model->generates) {
        return fail(call, request_error({base::Code::invalid_argument,
                                         fmt::format("model '{}' makes embeddings only; choose a "
                                                     "generating one from /v1/models",
                                                     model->id),
                                         "model"}));
    }
    auto generation =
        std::make_shared<Generation>(*this, call, std::move(*parsed), std::move(*model));
    track(generation);
    call->responder->on_closed([weak = std::weak_ptr(generation)] {
        if (const auto alive = weak.lock()) alive->cancel();
    });
    if (!prompt_worker.post([generation] { generation->start(); })) {
        generation->fail(prompts_full());
    }
}

}  // namespace gate
