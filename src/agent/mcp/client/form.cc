#include "agent/mcp/client/form.h"

#include "base/schema/schema_check.h"

namespace agent::mcp {

using base::Code;
using base::Result;

Result<json::object> complete_form(const json::object& params, json::object answer) {
    const json::value* action = answer.if_contains("action");
    if (action == nullptr || (*action != "accept" && *action != "decline" && *action != "cancel")) {
        return base::fail_on("action", Code::invalid_argument,
                             "'action' must be accept, decline or cancel");
    }
    const json::value* mode = params.if_contains("mode");
    if (*action != "accept" || (mode != nullptr && *mode == "url")) {
        answer.erase("content");
        return answer;
    }
    const json::value* form = params.if_contains("requestedSchema");
    if (form == nullptr) return answer;
    const json::value* given = answer.if_contains("content");
    json::object content;
    if (given != nullptr && given->is_object()) content = given->get_object();
    const json::object* rules = form->if_object();
    const json::value* properties = rules != nullptr ? rules->if_contains("properties") : nullptr;
    if (properties != nullptr && properties->is_object()) {
        for (const auto& [name, rule] : properties->get_object()) {
            const json::object* field = rule.if_object();
            const json::value* otherwise =
                field != nullptr ? field->if_contains("default") : nullptr;
            if (otherwise != nullptr && !content.contains(name)) content[name] = *otherwise;
        }
    }
    const auto check = DG_TRY(base::SchemaCheck::compile(*form));
    if (auto good = check.check(content); !good) {
        return std::unexpected(std::move(good).error().with_context("the form's answer"));
    }
    answer["content"] = std::move(content);
    return answer;
}

}  // namespace agent::mcp
