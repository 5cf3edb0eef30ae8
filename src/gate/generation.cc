#include "gate/generation.h"

#include <fmt/format.h>

#include <algorithm>

#include "gate/chat_writer.h"
#include "gate/responses_writer.h"

namespace gate {
namespace {

constexpr std::size_t kPendingBytesMax = 4 * 1024 * 1024;

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

std::string_view id_prefix(Api api) {
    switch (api) {
        case Api::chat:
            return "chatcmpl-";
        case Api::completions:
            return "cmpl-";
        case Api::responses:
            return "resp_";
    }
    return "";
}

ChatWriter::Facts chat_facts(const Gateway::Impl& gateway, const Call& call,
                             const GenerationCall& parsed, const std::string& id) {
    ChatWriter::Facts facts;
    facts.chat = parsed.api == Api::chat;
    facts.include_usage = parsed.include_usage;
    facts.logprobs = parsed.request.top_logprobs.has_value();
    facts.id = id;
    facts.model = parsed.request.model;
    facts.system_fingerprint = gateway.system_fingerprint;
    facts.created_unix_s = call.arrived_unix_ns / 1'000'000'000;
    return facts;
}

ResponsesWriter::Facts response_facts(const Call& call, const GenerationCall& parsed,
                                      const std::string& id) {
    ResponsesWriter::Facts facts;
    facts.id = id;
    facts.created_unix_s = call.arrived_unix_ns / 1'000'000'000;
    facts.logprobs = parsed.request.top_logprobs.has_value();
    facts.echo = parsed.response->echo;
    facts.echo["model"] = parsed.request.model;
    return facts;
}

}  // namespace

Generation::Generation(Gateway::Impl& gateway, CallPtr call, GenerationCall parsed, ModelCard model)
    : gateway_(gateway),
      call_(std::move(call)),
      parsed_(std::move(parsed)),
      id_(answer_id(*call_, parsed_.api)),
      choices_(parsed_.prompts.size() * parsed_.n),
      log_(gateway.options.stream_log_bytes_max) {
    call_->record.model = std::move(model.id);
    call_->record.stream = parsed_.stream;
    if (parsed_.api == Api::responses) {
        auto writer = std::make_unique<ResponsesWriter>(response_facts(*call_, parsed_, id_));
        responses_ = writer.get();
        writer_ = std::move(writer);
    } else {
        writer_ = std::make_unique<ChatWriter>(chat_facts(gateway, *call_, parsed_, id_));
    }
    if (parsed_.stream) {
        reader_ = std::make_shared<Reader>(Reader{call_->responder, 0, false});
    }
}

Generation::~Generation() = default;

std::string Generation::answer_id(const Call& call, Api api) {
    const std::string_view id = call.record.id;
    return fmt::format("{}{}", id_prefix(api), id.starts_with("req_") ? id.substr(4) : id);
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
        choices_[i].output.pieces.add(prompt.text ? *prompt.text
                                                  : DG_TRY(gateway_.deps.backend.detokenize(
                                                        parsed_.request.model, *prompt.tokens)),
                                      {}, {});
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
                choices_[i].output.ended = true;
                choices_[i].output.end.finish = Finish::cancelled;
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
    const ApiError api_error = told(error);
    ReaderPtr reader;
    std::string events;
    {
        const std::lock_guard lock(mutex_);
        refused_ = true;
        handles = handles_locked();
        if (begun_) {
            reader = reader_;
            EventText text(events, parsed_.resumable ? log_.next_id() : next_event_,
                           parsed_.resumable);
            writer_->append_end(text, {usage_locked(), {}, api_error});
        }
    }
    cancel_handles(handles);
    if (reader) {
        reader->responder->write(events);
        reader->responder->end();
    }
    fail(api_error);
}

/// A prompt that is too long is in `messages`, in `prompt` or in `input`.
ApiError Generation::told(const base::Error& error) const {
    ApiError out = backend_error(error, parsed_.api == Api::chat          ? "messages"
                                        : parsed_.api == Api::completions ? "prompt"
                                                                          : "input");
    const bool renamed = parsed_.api == Api::responses && out.param == "context_overflow";
    if (renamed) out.param = "truncation";
    return out;
}

void Generation::fail(const ApiError& error) {
    std::vector<std::function<void()>> callbacks;
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
        refused_ = true;
        reader_ = nullptr;
        unread_since_ = gateway_.deps.clock.now();
        callbacks.swap(finished_callbacks_);
        // Who has the id asks for it and must find out why there will be no answer.
        if (answered_) store_response_locked(&error);
    }
    gateway_.fail(call_, error);
    if (kept()) gateway_.forget_stream(*this);
    for (const auto& callback : callbacks) callback();
    gateway_.untrack(shared_from_this());
}

std::vector<GenerationHandle> Generation::handles_locked() const {
    std::vector<GenerationHandle> handles;
    for (const Choice& choice : choices_) {
        if (choice.handle && !choice.output.ended) handles.push_back(*choice.handle);
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

void Generation::client_left() {
    if (!kept()) return cancel();
    const std::lock_guard lock(mutex_);
    if (reader_ && reader_->responder == call_->responder) reader_ = nullptr;
    unread_since_ = gateway_.deps.clock.now();
}

void Generation::on_delta(std::size_t index, const TokenDelta& delta) {
    Choice& choice = choices_[index];
    const base::Instant now = gateway_.deps.clock.now();
    const base::Instant before = std::exchange(choice.last_token, now);
    if (before.ns != 0) gateway_.metrics.itl_seconds.observe(base::to_seconds(now - before));
    std::vector<GenerationHandle> too_slow;
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_ || refused_) return;
        choice.output.pieces.add(delta.text, delta.reasoning, delta.tool_calls);
        if (!delta.reasoning.empty()) ++choice.output.reasoning_tokens;
        if (parsed_.request.top_logprobs) {
            choice.output.logprobs.add(parsed_.api != Api::completions, delta.logprobs);
        }
        if (!parsed_.stream) return;
        pending_bytes_ += delta.text.size() + delta.reasoning.size();
        for (const TokenLogprobs& token : delta.logprobs) {
            pending_bytes_ += 100 * (1 + token.top.size());
        }
        for (const ToolCallDelta& call : delta.tool_calls) pending_bytes_ += call.arguments.size();
        if (pending_bytes_ > kPendingBytesMax && !std::exchange(too_slow_, true)) {
            too_slow = handles_locked();
        }
        // The network thread has not come for what was told before: it will find this too.
        if (asked_ && too_slow.empty()) return;
        if (delta.text.empty() && delta.reasoning.empty() && delta.tool_calls.empty() &&
            delta.logprobs.empty()) {
            return;
        }
    }
    cancel_handles(too_slow);
    pump_stream();
}

void Generation::on_end(std::size_t index, const GenerationEnd& end) {
    bool last = false, log_only = false;
    {
        const std::lock_guard lock(mutex_);
        Choice& choice = choices_[index];
        if (std::exchange(choice.output.ended, true)) return;
        choice.output.pieces.add(end.text, end.reasoning, end.tool_calls);
        choice.output.logprobs.add(parsed_.api != Api::completions, end.logprobs);
        choice.output.end = end;
        last = ++ended_ == choices_.size();
        if (refused_) return;
        // An error before the first event can still be told with a status.
        const bool told_by_status =
            !begun_ && reader_ != nullptr && first_error_locked().has_value();
        if (parsed_.stream && !cancelled_ && !told_by_status) {
            log_only = last && parsed_.resumable;
            last = false;
        }
        if (log_only) log_events_locked();
    }
    if (last) return complete();
    if (parsed_.stream) pump_stream();
    if (log_only) finish(200);
}

bool Generation::finished() const {
    const std::lock_guard lock(mutex_);
    return finished_;
}

void Generation::answer_in_background() {
    std::string body;
    {
        const std::lock_guard lock(mutex_);
        answered_ = true;
        body = responses_->unfinished("queued");
    }
    call_->responder->send(base::http::text_response(200, "application/json", std::move(body)));
}

std::string Generation::response_object() const {
    const std::lock_guard lock(mutex_);
    return response_.empty() ? responses_->unfinished("in_progress") : response_;
}

}  // namespace gate
