// Steps that ask a model. Its answer comes as a stream, so that who watches the run reads along.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "app/flow/step_adapters.h"
#include "app/server_client.h"
#include "flow/observe/token_streams.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

const json::value* at(const json::value& value, std::string_view pointer) {
    boost::system::error_code none;
    return value.find_pointer(pointer, none);
}

std::string text_at(const json::value& value, std::string_view pointer) {
    const json::value* found = at(value, pointer);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

double number_at(const json::value& value, std::string_view pointer) {
    const json::value* found = at(value, pointer);
    return found != nullptr && found->is_number() ? found->to_number<double>() : 0;
}

/// What the tokens cost, in USD.
double cost_of(const json::value& usage, const json::value& price) {
    return (number_at(usage, "/prompt_tokens") * number_at(price, "/input_usd_per_million") +
            number_at(usage, "/completion_tokens") * number_at(price, "/output_usd_per_million")) /
           1e6;
}

/// An answer put together from the chunks of a stream.
class ChatAnswer {
public:
    ChatAnswer(flow::TokenStreams::Call* live, json::value price)
        : live_(live), price_(std::move(price)) {}

    void add(std::string_view data) {
        if (data == "[DONE]") {
            whole_ = true;
            return;
        }
        const auto chunk = base::parse_json(data);
        if (!chunk) return;
        if (at(*chunk, "/error") != nullptr) error_ = text_at(*chunk, "/error/message");
        if (const std::string text = text_at(*chunk, "/choices/0/delta/content"); !text.empty()) {
            text_ += text;
            if (live_ != nullptr) live_->write(text);
        }
        if (const json::value* calls = at(*chunk, "/choices/0/delta/tool_calls");
            calls != nullptr && calls->is_array()) {
            for (const json::value& call : calls->get_array()) add_call(call);
        }
        if (auto finish = text_at(*chunk, "/choices/0/finish_reason"); !finish.empty()) {
            finish_ = std::move(finish);
        }
        if (auto model = text_at(*chunk, "/model"); !model.empty()) model_ = std::move(model);
        if (const json::value* usage = at(*chunk, "/usage"); usage && usage->is_object()) {
            usage_ = *usage;
        }
    }

    Result<flow::StepOutput> output(const flow::LlmAction& action) {
        if (error_)
            return base::fail(Code::unavailable, "the model's answer broke off: {}", *error_);
        if (!whole_ && finish_.empty()) {
            return base::fail(Code::unavailable, "the model's answer broke off after {} bytes",
                              text_.size());
        }
        json::object out{{"text", text_}};
        if (action.schema) {
            auto parsed = base::parse_json(text_);
            if (!parsed) {
                return base::fail(
                    Code::unavailable,
                    "the model's answer is cut off before its JSON ends; raise max_tokens");
            }
            out["json"] = *std::move(parsed);
        }
        if (!calls_.empty()) out["tool_calls"] = std::move(calls_);
        if (!finish_.empty()) out["finish_reason"] = finish_;
        if (!model_.empty()) out["model"] = model_;
        flow::StepOutput output;
        if (const json::value* total = at(usage_, "/total_tokens"); total && total->is_number()) {
            output.tokens = total->to_number<std::uint64_t>();
        }
        output.cost_usd = cost_of(usage_, price_);
        if (!usage_.is_null()) out["usage"] = std::move(usage_);
        output.value = std::move(out);
        return output;
    }

private:
    /// A call comes in pieces with the same index; texts are to be joined.
    void add_call(const json::value& piece) {
        const json::value* index = at(piece, "/index");
        const std::size_t place = index != nullptr && index->is_int64()
                                      ? static_cast<std::size_t>(index->get_int64())
                                      : calls_.size();
        if (place > calls_.size()) return;
        if (place == calls_.size()) {
            calls_.push_back({{"id", text_at(piece, "/id")},
                              {"type", "function"},
                              {"function", json::object{{"name", ""}, {"arguments", ""}}}});
        }
        json::object& function = calls_[place].get_object()["function"].get_object();
        for (const char* field : {"name", "arguments"}) {
            const std::string more = text_at(piece, std::string("/function/") + field);
            json::string& whole = function[field].get_string();
            whole.append(more);
        }
    }

    flow::TokenStreams::Call* const live_;
    const json::value price_;
    std::string text_, finish_, model_;
    json::array calls_;
    json::value usage_;
    std::optional<std::string> error_;
    bool whole_ = false;
};

}  // namespace

Result<flow::StepOutput> run_llm(const ModelEndpoint& endpoint, const flow::LlmAction& action,
                                 flow::TokenStreams* streams, const StepCall& step) {
    const json::object* given = step.call.request.if_object();
    if (given == nullptr) return base::fail(Code::invalid_argument, "'llm' needs an object");
    json::object body = *given;
    if (const json::value* prompt = body.if_contains("prompt")) {
        json::array messages;
        if (const json::value* system = body.if_contains("system")) {
            messages.push_back({{"role", "system"}, {"content", *system}});
        }
        messages.push_back({{"role", "user"}, {"content", *prompt}});
        body["messages"] = std::move(messages);
        body.erase("prompt");
        body.erase("system");
    }
    if (!action.model.empty()) body["model"] = action.model;
    if (action.schema && action.schema->is_object()) {
        body["response_format"] = held_to("answer", action.schema->get_object());
    }
    json::value price;
    if (const json::value* its = body.if_contains("price")) price = *its;
    body.erase("price");
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    std::shared_ptr<flow::TokenStreams::Call> live;
    if (streams != nullptr) {
        live = streams->begin(step.call.run, step.call.path, step.call.attempt);
    }
    ChatAnswer answer(live.get(), std::move(price));
    const auto response = DG_TRY(endpoint.stream(
        "/chat/completions", std::move(body),
        {.headers = {{"traceparent", base::trace::format_traceparent(step.call.trace)}},
         .timeout = step.time_left,
         .cancelled = [cancelled = step.cancelled] { return cancelled->load(); },
         .on_data = [&](std::string_view data) { answer.add(data); }}));
    if (response.status < 200 || response.status >= 300) {
        return std::unexpected(refusal("the model", response.status, response.body));
    }
    return answer.output(action);
}

}  // namespace app
