// Steps that ask memories, or a function of this program.

#include "app/flow/step_adapters.h"
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
