#include "app/flow/tool_sources.h"

#include <algorithm>

#include "base/core/nearest.h"
#include "memory/tools/memory_tools.h"
#include "sphere/tools/sandbox_tools.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

class MemoryCaller final : public ToolCaller {
public:
    explicit MemoryCaller(memory::MemoryStore* store) : store_(store) {}
    std::vector<std::string> names() const override {
        std::vector<std::string> out;
        for (const auto& tool : memory::MemoryTools::all()) out.emplace_back(tool.name);
        return out;
    }
    std::vector<agent::Tool> offered() const override {
        std::vector<agent::Tool> out;
        for (const auto& tool : memory::MemoryTools::all()) {
            out.push_back({std::string(tool.name), std::string(tool.description), tool.arguments(),
                           tool.reads_only});
        }
        return out;
    }
    Result<json::value> call(const std::string& name, const json::object& arguments,
                             const StepCall& step) override {
        if (store_ == nullptr) {
            return base::fail(Code::failed_precondition, "this server has no memories");
        }
        memory::MemoryTools tools(*store_, memory::Scope{.tenant = step.tenant});
        return DG_TRY(tools.call(name, arguments));
    }

private:
    memory::MemoryStore* const store_;
};

class SandboxCaller final : public ToolCaller {
public:
    explicit SandboxCaller(sphere::tools::SandboxTools* tools) : tools_(tools) {}
    std::vector<std::string> names() const override {
        std::vector<std::string> out;
        for (const auto& tool : sphere::tools::SandboxTools::all()) out.emplace_back(tool.name);
        return out;
    }
    Result<json::value> call(const std::string& name, const json::object& arguments,
                             const StepCall& step) override {
        if (tools_ == nullptr) {
            return base::fail(Code::failed_precondition, "this server has no sandboxes");
        }
        sphere::tools::ToolCaller caller;
        caller.tenant = step.tenant;
        caller.agent = "flow";
        caller.session = flow::to_text(step.call.run);
        const json::object answer = DG_TRY(tools_->call(caller, name, arguments));
        const json::value* bad = answer.if_contains("isError");
        if (bad != nullptr && bad->is_bool() && bad->get_bool()) {
            return base::fail(Code::failed_precondition, "{}", text_of(answer));
        }
        const json::value* structured = answer.if_contains("structuredContent");
        if (structured != nullptr) return *structured;
        return json::object{{"text", text_of(answer)}};
    }

private:
    static std::string text_of(const json::object& answer) {
        std::string out;
        const json::value* content = answer.if_contains("content");
        if (content == nullptr || !content->is_array()) return out;
        for (const json::value& part : content->get_array()) {
            const json::object* fields = part.if_object();
            const json::value* text = fields != nullptr ? fields->if_contains("text") : nullptr;
            if (text != nullptr && text->is_string()) out += std::string(text->get_string());
        }
        return out;
    }

    sphere::tools::SandboxTools* const tools_;
};

}  // namespace

std::unique_ptr<ToolCaller> memory_tools(memory::MemoryStore* store) {
    return std::make_unique<MemoryCaller>(store);
}

std::unique_ptr<ToolCaller> sandbox_tools(sphere::tools::SandboxTools* tools) {
    return std::make_unique<SandboxCaller>(tools);
}

std::vector<std::string> ToolSet::names() const {
    std::vector<std::string> out;
    for (const auto& source : sources_) {
        for (std::string& name : source->names()) out.push_back(std::move(name));
    }
    std::ranges::sort(out);
    return out;
}

std::vector<agent::Tool> ToolSet::offered() const {
    std::vector<agent::Tool> out;
    for (const auto& source : sources_) {
        for (agent::Tool& tool : source->offered()) out.push_back(std::move(tool));
    }
    return out;
}

Result<json::value> ToolSet::call(const std::string& name, const json::object& arguments,
                                  const StepCall& step) {
    for (const auto& source : sources_) {
        if (std::ranges::count(source->names(), name) > 0) {
            return source->call(name, arguments, step);
        }
    }
    const std::vector<std::string> known = names();
    const std::vector<std::string_view> views(known.begin(), known.end());
    return base::fail(Code::not_found, "there is no tool '{}' here{}", name,
                      base::did_you_mean(name, views));
}

}  // namespace app
