// Answers from a backend in this process.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "app/answers.h"

namespace app {
namespace {

using base::Result;

std::string_view finish_name(gate::Finish finish) {
    switch (finish) {
        case gate::Finish::stop:
            return "stop";
        case gate::Finish::tool_calls:
            return "tool_calls";
        case gate::Finish::length:
            return "length";
        case gate::Finish::cancelled:
            return "cancelled";
        case gate::Finish::deadline:
            return "deadline";
        case gate::Finish::error:
            return "error";
    }
    return "error";
}

/// Hands text from the engine's thread to the one that waits for it.
class Mailbox final : public gate::GenerationListener {
public:
    void on_delta(const gate::TokenDelta& delta) override {
        const std::lock_guard lock(mutex_);
        text_ += delta.text;
        changed_.notify_one();
    }
    void on_end(const gate::GenerationEnd& end) override {
        const std::lock_guard lock(mutex_);
        text_ += end.text;
        end_ = end;
        changed_.notify_one();
    }

    struct Mail {
        std::string text;
        std::optional<gate::GenerationEnd> end;
    };
    /// What came since the last call; empty after 20 ms of silence.
    Mail take() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::milliseconds(20),
                          [&] { return !text_.empty() || end_.has_value(); });
        return {std::exchange(text_, {}), end_};
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;                        // guarded by mutex_
    std::optional<gate::GenerationEnd> end_;  // guarded by mutex_
};

Answer finished(const gate::GenerationEnd& end, std::string text) {
    Answer answer;
    answer.text = std::move(text);
    answer.finish = finish_name(end.finish);
    answer.prompt_tokens = end.prompt_tokens;
    answer.cached_tokens = end.cached_tokens;
    answer.completion_tokens = end.completion_tokens;
    answer.seed = end.seed;
    answer.total_ms = base::to_millis(end.finished - end.received);
    if (end.first_token.ns != 0) {
        answer.ttft_ms = base::to_millis(end.first_token - end.received);
        const double decode_s = base::to_seconds(end.finished - end.first_token);
        if (end.completion_tokens > 1 && decode_s > 0) {
            answer.decode_tokens_per_s = (end.completion_tokens - 1) / decode_s;
        }
    }
    return answer;
}

class LocalAnswers final : public AnswerSource {
public:
    LocalAnswers(gate::ModelBackend& backend, std::string model)
        : backend_(backend), model_(std::move(model)) {}

    const std::string& model() const override { return model_; }

    Result<Answer> answer(const Question& question,
                          const std::function<void(std::string_view)>& on_text,
                          const std::function<bool()>& stop_asked) override {
        gate::GenerationRequest request;
        request.model = model_;
        request.prompt = question.prompt;
        request.sampling = question.sampling;
        request.max_tokens = question.max_tokens;
        request.stop = question.stop;
        const auto mailbox = std::make_shared<Mailbox>();
        const auto handle = DG_TRY(backend_.start(std::move(request), mailbox));
        std::string text;
        for (bool cancelled = false;;) {
            if (!cancelled && stop_asked()) {
                cancelled = true;
                backend_.cancel(handle);
            }
            const Mailbox::Mail mail = mailbox->take();
            if (!mail.text.empty()) on_text(mail.text);
            text += mail.text;
            if (!mail.end) continue;
            if (mail.end->error) return std::unexpected(*mail.end->error);
            return finished(*mail.end, std::move(text));
        }
    }

private:
    gate::ModelBackend& backend_;
    std::string model_;
};

}  // namespace

std::unique_ptr<AnswerSource> local_answers(gate::ModelBackend& backend, std::string model) {
    return std::make_unique<LocalAnswers>(backend, std::move(model));
}

}  // namespace app
