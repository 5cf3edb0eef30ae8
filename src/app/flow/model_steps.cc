// Steps that ask a model, memories, or a function of this program.

#include "app/flow/step_adapters.h"
#include "app/server_client.h"
#include "memory/tools/memory_tools.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

Result<flow::StepOutput> run_memory(memory::MemoryStore& store, const flow::MemoryAction& action,
                                    const StepCall& step) {
    memory::MemoryTools tools(store, memory::Scope{.tenant = step.tenant});
    const json::object* given = step.call.request.if_object();
    static const json::object kNone;
    // Written twice, an entry is merged with its equal.
    return flow::StepOutput{DG_TRY(tools.call(action.operation, given != nullptr ? *given : kNone)),
                            0, 0};
}

Result<flow::StepOutput> run_llm(const ModelEndpoint& endpoint, const flow::LlmAction& action,
                                 const StepCall& step) {
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
    const auto response = DG_TRY(endpoint.post("/chat/completions", std::move(body)));
    if (response.status < 200 || response.status >= 300) {
        return std::unexpected(refusal("the model", response.status, response.body));
    }
    const json::value answer = DG_TRY(base::parse_json(response.body));
    json::object out;
    const json::value* content = chat_content(answer);
    out["text"] = content != nullptr && content->is_string() ? *content : json::value("");
    if (action.schema) {
        auto parsed = base::parse_json(std::string_view(out["text"].get_string()));
        if (!parsed) {
            return base::fail(
                Code::unavailable,
                "the model's answer is cut off before its JSON ends; raise max_tokens");
        }
        out["json"] = *std::move(parsed);
    }
    boost::system::error_code none;
    if (const json::value* calls = answer.find_pointer("/choices/0/message/tool_calls", none)) {
        out["tool_calls"] = *calls;
    }
    if (const json::value* finish = answer.find_pointer("/choices/0/finish_reason", none)) {
        out["finish_reason"] = *finish;
    }
    flow::StepOutput output;
    if (const json::value* usage = answer.find_pointer("/usage", none)) {
        out["usage"] = *usage;
        if (const json::value* total = answer.find_pointer("/usage/total_tokens", none);
            total != nullptr && total->is_number()) {
            output.tokens = total->to_number<std::uint64_t>();
        }
    }
    output.value = std::move(out);
    return output;
}

namespace {

Result<json::value> echo(const json::value& arguments) {
    return arguments;
}

Result<json::value> fail_on_purpose(const json::value& arguments) {
    const json::object* given = arguments.if_object();
    const json::value* message = given != nullptr ? given->if_contains("message") : nullptr;
    return base::fail(Code::failed_precondition, "{}",
                      message != nullptr && message->is_string()
                          ? std::string_view(message->get_string())
                          : std::string_view("failed on purpose"));
}

}  // namespace

const std::map<std::string, NativeFunction, std::less<>>& native_functions() {
    static const std::map<std::string, NativeFunction, std::less<>> kFunctions = {
        {"echo", echo},
        {"fail", fail_on_purpose},
    };
    return kFunctions;
}

}  // namespace app
