#include "app/agents/agent_tools.h"

#include <fmt/format.h>

#include "agent/tools/calculator.h"
#include "base/json/object_reader.h"
#include "memory/knowledge/knowledge.h"

namespace app {

using base::Result;
namespace json = base::json;

namespace {

class AgentCaller final : public ToolCaller {
public:
    explicit AgentCaller(const base::Clock& clock) : clock_(clock) {}
    std::vector<std::string> names() const override { return {"calculator", "clock"}; }
    Result<json::value> call(const std::string& name, const json::object& arguments,
                             const StepCall&) override {
        if (name == "clock") return agent::clock_reading(clock_.unix_ns() / 1'000'000'000);
        const json::value* expression = arguments.if_contains("expression");
        if (expression == nullptr || !expression->is_string()) {
            return base::fail_on("expression", base::Code::invalid_argument,
                                 "calculator needs 'expression', a text");
        }
        return DG_TRY(
            agent::calculate({expression->get_string().data(), expression->get_string().size()}));
    }

private:
    const base::Clock& clock_;
};

/// "Handbook, page 3": how a passage is cited.
std::string cite(const memory::knowledge::Citation& at) {
    std::string out = at.title.empty() ? at.document : at.title;
    if (at.page != 0) out += fmt::format(", page {}", at.page);
    if (!at.section.empty()) out += fmt::format(", {}", at.section.back());
    return out;
}

class KnowledgeCaller final : public ToolCaller {
public:
    explicit KnowledgeCaller(memory::MemoryStore* store) : store_(store) {}
    std::vector<std::string> names() const override { return {"knowledge_search"}; }
    std::vector<agent::Tool> offered() const override {
        return {{"knowledge_search",
                 "Find passages of documents by words and meaning. Each has `cite`, by which it is "
                 "quoted. A low confidence means that the documents do not say.",
                 base::parse_json(R"({"type": "object", "additionalProperties": false,
                     "required": ["query"], "properties": {
                     "query": {"type": "string", "minLength": 1, "maxLength": 4000},
                     "base": {"type": "string", "maxLength": 128},
                     "limit": {"type": "integer", "minimum": 1, "maximum": 20}}})")
                     ->as_object(),
                 true}};
    }
    Result<json::value> call(const std::string&, const json::object& arguments,
                             const StepCall& step) override {
        if (store_ == nullptr) {
            return base::fail(base::Code::failed_precondition,
                              "this server has no knowledge bases");
        }
        memory::knowledge::Question question;
        question.tenant = step.tenant;
        question.limit = 5;
        base::ObjectReader in(arguments);
        in.text("query", question.text, 4000);
        in.text("base", question.base, 128);
        in.integer<std::uint32_t>("limit", question.limit, 1, 20);
        DG_TRY(in.done());
        const auto found = DG_TRY(store_->knowledge().search(question));
        json::array passages;
        for (const auto& each : found.passages) {
            passages.push_back({{"cite", cite(each.at)},
                                {"document", each.at.document},
                                {"text", each.header + each.text}});
        }
        return json::object{{"passages", std::move(passages)}, {"confidence", found.confidence}};
    }

private:
    memory::MemoryStore* const store_;
};

}  // namespace

std::unique_ptr<ToolCaller> knowledge_tools(memory::MemoryStore* store) {
    return std::make_unique<KnowledgeCaller>(store);
}

std::unique_ptr<ToolCaller> agent_tools(const base::Clock& clock) {
    return std::make_unique<AgentCaller>(clock);
}

}  // namespace app
