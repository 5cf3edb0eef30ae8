// How a generation ends: what is told of it as a whole, to whom, and what stays of it.
#include <utility>

#include "gate/generation.h"
#include "gate/responses_writer.h"

namespace gate {

AnswerEnd Generation::answer_end_locked() const {
    AnswerEnd end;
    end.usage = usage_locked();
    end.timings = timings_of(choices_.front().output.end);
    if (const auto error = first_error_locked()) end.error = told(*error);
    return end;
}

UsageTotals Generation::usage_locked() const {
    UsageTotals usage;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
        const GenerationEnd& end = choices_[i].output.end;
        usage.completion_tokens += end.completion_tokens;
        usage.reasoning_tokens += choices_[i].output.reasoning_tokens;
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
        if (!choice.output.ended || choice.output.end.finish != Finish::error) continue;
        return choice.output.end.error.value_or(
            base::Error{base::Code::internal, "generation failed", {}});
    }
    return std::nullopt;
}

std::string Generation::whole_answer_locked(const ApiError* refused) {
    AnswerEnd end = answer_end_locked();
    if (refused != nullptr) end.error = *refused;
    std::vector<ChoiceOutput*> outputs;
    for (Choice& choice : choices_) outputs.push_back(&choice.output);
    return writer_->whole_answer(outputs, end);
}

void Generation::store_response_locked(const ApiError* refused) {
    response_ = whole_answer_locked(refused);
    if (!parsed_.response->store || forgotten_) return;
    StoredResponse stored;
    stored.id = id_;
    stored.tenant = parsed_.request.tenant;
    stored.object = response_;
    stored.session = parsed_.request.session;
    stored.input_items = base::to_text(parsed_.response->input_items);
    base::json::array messages = *parsed_.prompts.front().messages;
    if (!parsed_.response->instructions.empty()) messages.erase(messages.begin());
    messages.push_back(responses_->message());
    stored.messages = base::to_text(messages);
    gateway_.responses.add(std::move(stored));
}

void Generation::complete() {
    std::string body;
    std::optional<base::Error> error;
    bool cancelled = false, begun = false, answered = false;
    ReaderPtr reader;
    {
        const std::lock_guard lock(mutex_);
        if (finished_) return;
        cancelled = cancelled_;
        begun = begun_;
        answered = answered_;
        reader = reader_;
        error = first_error_locked();
        if (parsed_.stream && parsed_.resumable) log_events_locked();
        const bool shown = !parsed_.stream && !cancelled && !error;
        if (shown && responses_ != nullptr) store_response_locked();
        if (shown) body = responses_ != nullptr ? response_ : whole_answer_locked();
    }
    if (answered) return finish(error ? told(*error).status : 200);
    if (cancelled) {
        gateway_.metrics.disconnects.add();
        if (begun && parsed_.resumable) {
            if (reader) reader->responder->notify();  // for the log's last events
        } else if (begun) {
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

void Generation::on_finished(std::function<void()> callback) {
    {
        const std::lock_guard lock(mutex_);
        if (!finished_) {
            finished_callbacks_.push_back(std::move(callback));
            return;
        }
    }
    callback();
}

void Generation::forget() {
    {
        const std::lock_guard lock(mutex_);
        forgotten_ = true;
    }
    cancel();
}

void Generation::finish(int status) {
    std::vector<std::function<void()>> callbacks;
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
        call_->record.status = status;
        fill_record_locked(call_->record);
        if (answered_ && response_.empty()) store_response_locked();
        unread_since_ = gateway_.deps.clock.now();
        callbacks.swap(finished_callbacks_);
    }
    gateway_.finish_call(*call_);
    for (const auto& callback : callbacks) callback();
    gateway_.untrack(shared_from_this());
}

}  // namespace gate
