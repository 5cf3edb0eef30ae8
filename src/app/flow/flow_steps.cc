#include "app/flow/flow_steps.h"

#include <algorithm>

#include "agent/loop/loop.h"

namespace app {

using base::Code;
using base::Result;
using flow::StepOutput;

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

std::string name_of(flow::RunId run, std::string_view path) {
    return flow::to_text(run) + "/" + std::string(path);
}

/// Every text in it without secrets' values.
void scrub_all(base::json::value& value,
               const std::function<std::string(std::string_view)>& scrub) {
    if (auto* text = value.if_string()) {
        *text = scrub({text->data(), text->size()});
    } else if (auto* list = value.if_array()) {
        for (base::json::value& each : *list) scrub_all(each, scrub);
    } else if (auto* object = value.if_object()) {
        for (auto& member : *object) scrub_all(member.value(), scrub);
    }
}

std::unexpected<base::Error> none_here(std::string_view what) {
    return base::fail(Code::failed_precondition, "this server has no {}", what);
}

}  // namespace

FlowSteps::FlowSteps(Parts parts, const base::Clock& clock, std::size_t threads,
                     std::size_t queue_max)
    : parts_(std::move(parts)), clock_(clock), workers_(threads, queue_max) {}

FlowSteps::~FlowSteps() {
    stop();
}

void FlowSteps::stop() {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, cancelled] : calls_) cancelled->store(true);
    }
    workers_.stop();
}

void FlowSteps::run(flow::Call call, Done done) {
    if (const auto* native = std::get_if<flow::NativeAction>(&call.step->action)) {
        const auto& functions = native_functions();
        const auto found = functions.find(native->function);
        const NativeFunction function =
            found != functions.end() ? found->second : agent::loop_function(native->function);
        if (function == nullptr) {
            done(base::fail(Code::not_found, "there is no function '{}' in this program",
                            native->function));
            return;
        }
        auto value = function(call.request);
        if (value) {
            done(StepOutput{*std::move(value), 0, 0});
        } else {
            done(std::unexpected(std::move(value).error()));
        }
        return;
    }
    if (std::holds_alternative<flow::WorkerAction>(call.step->action)) {
        if (parts_.workers != nullptr) return parts_.workers->run(std::move(call), std::move(done));
        done(base::fail(Code::failed_precondition,
                        "workers come to a server; start 'dougong serve' and run it there"));
        return;
    }
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    const std::string name = name_of(call.run, call.path);
    {
        const std::lock_guard lock(mutex_);
        calls_[name] = cancelled;
    }
    auto kept = std::make_shared<flow::Call>(std::move(call));
    const bool taken = workers_.post([this, kept, cancelled, name, done] {
        auto result = make(*kept, cancelled);
        const flow::Action& action = kept->step->action;
        if (parts_.scrub && (std::holds_alternative<flow::ToolAction>(action) ||
                             std::holds_alternative<flow::CodeAction>(action) ||
                             std::holds_alternative<flow::MemoryAction>(action))) {
            if (result) scrub_all(result->value, parts_.scrub);
            if (!result) result.error().message = parts_.scrub(result.error().message);
        }
        {
            const std::lock_guard lock(mutex_);
            const auto found = calls_.find(name);
            if (found != calls_.end() && found->second == cancelled) calls_.erase(found);
        }
        done(std::move(result));
    });
    if (!taken) done(base::fail(Code::resource_exhausted, "too many steps wait for a thread"));
}

void FlowSteps::cancel(flow::RunId run, std::string_view path) {
    if (parts_.workers != nullptr) parts_.workers->cancel(run, path);
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(name_of(run, path));
    if (found != calls_.end()) found->second->store(true);
}

Result<StepOutput> FlowSteps::make(const flow::Call& call,
                                   const std::shared_ptr<std::atomic<bool>>& cancelled) {
    if (cancelled->load()) return base::fail(Code::cancelled, "the run was stopped");
    std::chrono::milliseconds left{0};
    if (call.deadline_ms != 0) {
        left = std::chrono::milliseconds(
            std::max<std::int64_t>(call.deadline_ms - clock_.unix_ns() / 1'000'000, 1));
    }
    const StepCall step{call, call.tenant, cancelled, left};
    return std::visit(
        Overloaded{
            [&](const flow::HttpAction& action) { return run_http(http_, action, step); },
            [&](const flow::CodeAction& action) -> Result<StepOutput> {
                if (parts_.sphere == nullptr) return none_here("sandboxes");
                return run_code(*parts_.sphere, *parts_.workspaces, action, step);
            },
            [&](const flow::MemoryAction& action) -> Result<StepOutput> {
                if (parts_.memories == nullptr) return none_here("memories");
                return run_memory(*parts_.memories, action, step);
            },
            [&](const flow::LlmAction& action) -> Result<StepOutput> {
                if (!parts_.model) return none_here("models");
                return run_llm(*DG_TRY(parts_.model(*cancelled)), action, parts_.tokens, step);
            },
            [&](const flow::ToolAction& action) -> Result<StepOutput> {
                static const base::json::object kNone;
                if (parts_.tools == nullptr) return none_here("tools");
                const base::json::object* given = step.call.request.if_object();
                return StepOutput{DG_TRY(parts_.tools->call(
                                      action.tool, given != nullptr ? *given : kNone, step)),
                                  0, 0};
            },
            [](const auto&) -> Result<StepOutput> {
                return base::fail(Code::internal, "a step that makes no call was called");
            },
        },
        call.step->action);
}

}  // namespace app
