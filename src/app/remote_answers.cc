// Answers from an OpenAI-compatible server over HTTP, read as they stream in.
#include <fmt/format.h>

#include "app/answers.h"
#include "app/sse.h"
#include "base/http/client.h"

namespace app {
namespace {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

json::object sampling_json(const Question& question) {
    const gate::Sampling& sampling = question.sampling;
    json::object body{{"temperature", sampling.temperature}, {"top_p", sampling.top_p}};
    // Fields OpenAI does not have are sent only when they are used, so that strict servers work.
    if (sampling.top_k != 0) body["top_k"] = sampling.top_k;
    if (sampling.min_p != 0.f) body["min_p"] = sampling.min_p;
    if (sampling.repetition_penalty != 1.f) {
        body["repetition_penalty"] = sampling.repetition_penalty;
    }
    if (sampling.seed) body["seed"] = *sampling.seed;
    if (question.max_tokens != 0) body["max_tokens"] = question.max_tokens;
    if (!question.stop.empty()) body["stop"] = json::value_from(question.stop);
    return body;
}

const json::value* at(const json::value& value, std::string_view key) {
    return value.is_object() ? value.get_object().if_contains(key) : nullptr;
}

std::string string_at(const json::value& value, std::string_view key) {
    const json::value* found = at(value, key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}

std::uint32_t count_at(const json::value& value, std::string_view key) {
    const json::value* found = at(value, key);
    if (found == nullptr || !found->is_number()) return 0;
    boost::system::error_code error;
    const auto number = found->to_number<std::uint32_t>(error);
    return error ? 0 : number;
}

Code code_of_status(int status) {
    switch (status) {
        case 401:
            return Code::unauthenticated;
        case 403:
            return Code::permission_denied;
        case 404:
            return Code::not_found;
        case 413:
            return Code::payload_too_large;
        case 429:
            return Code::resource_exhausted;
        case 504:
            return Code::deadline_exceeded;
        default:
            return status >= 500 ? Code::unavailable : Code::invalid_argument;
    }
}

base::Error error_of(int status, const std::string& body) {
    std::string message;
    if (const auto parsed = base::parse_json(body)) {
        if (const json::value* error = at(*parsed, "error")) message = string_at(*error, "message");
    }
    if (message.empty()) message = body.substr(0, 200);
    return {code_of_status(status), fmt::format("the server answered {}: {}", status, message), {}};
}

/// Builds an Answer from the chunks of one stream.
class StreamReader {
public:
    StreamReader(const base::Clock& clock, const std::function<void(std::string_view)>& on_text)
        : clock_(clock), on_text_(on_text), begin_(clock.now()) {}

    void on_event(std::string_view data) {
        if (data == "[DONE]") return;
        const auto chunk = base::parse_json(data);
        if (!chunk) return;  // a comment or a vendor's extension
        if (const json::value* error = at(*chunk, "error")) error_ = string_at(*error, "message");
        if (const json::value* usage = at(*chunk, "usage")) read_usage(*usage);
        const json::value* choices = at(*chunk, "choices");
        if (choices == nullptr || !choices->is_array() || choices->get_array().empty()) return;
        read_choice(choices->get_array().front());
    }

    Result<Answer> finish(bool stopped) {
        if (!error_.empty()) return fail(Code::unavailable, "the server stopped: {}", error_);
        const base::Instant end = clock_.now();
        answer_.total_ms = base::to_millis(end - begin_);
        if (stopped) answer_.finish = "cancelled";
        if (answer_.completion_tokens == 0) answer_.completion_tokens = pieces_;
        if (first_.ns != 0) {
            answer_.ttft_ms = base::to_millis(first_ - begin_);
            const double decode_s = base::to_seconds(last_ - first_);
            if (answer_.completion_tokens > 1 && decode_s > 0) {
                answer_.decode_tokens_per_s = (answer_.completion_tokens - 1) / decode_s;
            }
        }
        return std::move(answer_);
    }

private:
    void read_usage(const json::value& usage) {
        answer_.prompt_tokens = count_at(usage, "prompt_tokens");
        answer_.completion_tokens = count_at(usage, "completion_tokens");
        if (const json::value* more = at(usage, "prompt_tokens_details")) {
            answer_.cached_tokens = count_at(*more, "cached_tokens");
        }
    }
    void read_choice(const json::value& choice) {
        const json::value* delta = at(choice, "delta");
        const std::string text =
            delta != nullptr ? string_at(*delta, "content") : string_at(choice, "text");
        if (const std::string reason = string_at(choice, "finish_reason"); !reason.empty()) {
            answer_.finish = reason;
        }
        if (text.empty()) return;
        last_ = clock_.now();
        if (first_.ns == 0) first_ = last_;
        ++pieces_;
        answer_.text += text;
        on_text_(text);
    }

    const base::Clock& clock_;
    const std::function<void(std::string_view)>& on_text_;
    base::Instant begin_, first_{}, last_{};
    std::uint32_t pieces_ = 0;
    Answer answer_;
    std::string error_;
};

class RemoteAnswers final : public AnswerSource {
public:
    RemoteAnswers(std::string url, std::string model, const base::Clock& clock)
        : url_(std::move(url)), model_(std::move(model)), clock_(clock) {}

    const std::string& model() const override { return model_; }

    Result<void> choose_model() {
        if (!model_.empty()) return {};
        base::HttpClient::Request request;
        request.url = url_ + "/v1/models";
        const auto response = DG_TRY(client_.send(request));
        if (response.status != 200) {
            return std::unexpected(error_of(response.status, response.body));
        }
        const json::value parsed = DG_TRY(base::parse_json(response.body));
        const json::value* data = at(parsed, "data");
        if (data == nullptr || !data->is_array() || data->get_array().empty()) {
            return fail(Code::not_found, "{} lists no model; name one with --model", url_);
        }
        model_ = string_at(data->get_array().front(), "id");
        return {};
    }

    Result<Answer> answer(const Question& question,
                          const std::function<void(std::string_view)>& on_text,
                          const std::function<bool()>& stop_asked) override {
        json::object body = sampling_json(question);
        body["model"] = model_;
        body["stream"] = true;
        body["stream_options"] = {{"include_usage", true}};
        const bool chat = question.prompt.messages.has_value();
        if (chat) {
            body["messages"] = *question.prompt.messages;
        } else {
            body["prompt"] = question.prompt.text.value_or("");
        }
        return exchange(url_ + (chat ? "/v1/chat/completions" : "/v1/completions"),
                        base::to_text(body), on_text, stop_asked);
    }

private:
    Result<Answer> exchange(const std::string& url, std::string body,
                            const std::function<void(std::string_view)>& on_text,
                            const std::function<bool()>& stop_asked) {
        base::HttpClient::Request request;
        request.method = "POST";
        request.url = url;
        request.headers = {{"content-type", "application/json"}, {"accept", "text/event-stream"}};
        request.body = std::move(body);
        request.cancelled = stop_asked;
        StreamReader reader(clock_, on_text);
        SseParser events([&](std::string_view data) { reader.on_event(data); });
        std::string refused;
        bool too_large = false;
        const auto sink = [&](const base::HttpClient::Response& head,
                              std::span<const std::byte> bytes) {
            const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            if (head.status == 200) {
                too_large = !events.feed(text);
            } else {
                too_large = refused.size() + text.size() > SseParser::kEventBytesMax;
                if (!too_large) refused += text;
            }
            return !too_large && !stop_asked();
        };
        const auto response = client_.send(request, sink);
        if (too_large) {
            return base::fail(Code::payload_too_large, "{} sent more than {} bytes in one piece",
                              url, SseParser::kEventBytesMax);
        }
        if (!response && response.error().code == Code::cancelled) return reader.finish(true);
        if (!response) return std::unexpected(response.error());
        if (response->status != 200) return std::unexpected(error_of(response->status, refused));
        return reader.finish(false);
    }

    std::string url_, model_;
    const base::Clock& clock_;
    base::HttpClient client_;
};

}  // namespace

Result<std::unique_ptr<AnswerSource>> remote_answers(const std::string& url, std::string model,
                                                     const base::Clock& clock) {
    if (!url.starts_with("http://") && !url.starts_with("https://")) {
        return fail(Code::invalid_argument,
                    "--url is '{}', expected a server's address such as http://127.0.0.1:8080",
                    url);
    }
    std::string base_url = url;
    while (base_url.ends_with('/')) base_url.pop_back();
    if (base_url.ends_with("/v1")) base_url.resize(base_url.size() - 3);
    auto source = std::make_unique<RemoteAnswers>(std::move(base_url), std::move(model), clock);
    DG_TRY(source->choose_model());
    return std::unique_ptr<AnswerSource>(std::move(source));
}

}  // namespace app
