#include "memory/tools/memory_tools.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/json/object_reader.h"
#include "memory/facts/fact_store.h"

namespace memory {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;

constexpr std::size_t kContentBytesMax = 256u << 10, kQueryBytesMax = 16u << 10;
constexpr std::size_t kNameBytesMax = 1024;

constexpr std::array<std::pair<std::string_view, MemoryType>, kMemoryTypes> kTypes = {
    {{"short_term", MemoryType::short_term},
     {"working", MemoryType::working},
     {"long_term", MemoryType::long_term},
     {"episodic", MemoryType::episodic},
     {"semantic", MemoryType::semantic}}};

json::object schema(std::string_view text) {
    json::object out = base::parse_json(text)->as_object();
    out["type"] = "object";
    out["additionalProperties"] = false;
    return out;
}

constexpr std::array kTools = {
    ToolInfo{"memory_add",
             "Remember something for later conversations: a preference, a decision, a lesson, an "
             "event. One statement a call, in full sentences that can be understood alone.",
             [] {
                 return schema(R"({"required": ["content"], "properties": {
                     "content": {"type": "string", "minLength": 1},
                     "type": {"enum": ["short_term", "working", "long_term", "episodic",
                                       "semantic"]},
                     "importance": {"type": "number", "minimum": 0, "maximum": 1},
                     "metadata": {"type": "object"}}})");
             }},
    ToolInfo{"memory_search",
             "Find what was remembered, by words and by meaning. Give a question or key words. A "
             "low confidence means that nothing known answers it.",
             [] {
                 return schema(R"({"required": ["query"], "properties": {
                     "query": {"type": "string", "minLength": 1},
                     "limit": {"type": "integer", "minimum": 1, "maximum": 50},
                     "tokens_max": {"type": "integer", "minimum": 1, "maximum": 100000},
                     "neighbours": {"type": "integer", "minimum": 0, "maximum": 10}}})");
             },
             true},
    ToolInfo{"memory_update", "Correct a memory; its earlier state stays in its history.",
             [] {
                 return schema(R"({"required": ["id", "content"], "properties": {
                     "id": {"type": "string"}, "content": {"type": "string", "minLength": 1}}})");
             }},
    ToolInfo{
        "memory_remove", "Take a memory out of every search. A person can bring it back.",
        [] { return schema(R"({"required": ["id"], "properties": {"id": {"type": "string"}}})"); },
        false, true},
    ToolInfo{"memory_facts",
             "What is known of somebody or something now, or on a day: statements with the time in "
             "which each holds. Newer ones have closed older ones.",
             [] {
                 return schema(R"({"required": ["subject"], "properties": {
                     "subject": {"type": "string", "minLength": 1},
                     "predicate": {"type": "string"},
                     "valid_at_unix_ms": {"type": "integer", "minimum": 0},
                     "history": {"type": "boolean"}}})");
             },
             true},
    ToolInfo{"memory_graph",
             "Who and what is connected with a name, and by what; with `to`, how two names hang "
             "together.",
             [] {
                 return schema(R"({"required": ["name"], "properties": {
                     "name": {"type": "string", "minLength": 1}, "to": {"type": "string"},
                     "depth": {"type": "integer", "minimum": 1, "maximum": 6}}})");
             },
             true},
    ToolInfo{"task_checkpoint",
             "Keep where a long task is, so that it can go on after any interruption: its state, "
             "what this step brought, what was learnt, what comes next.",
             [] {
                 return schema(R"({"required": ["task"], "properties": {
                     "task": {"type": "string", "minLength": 1}, "name": {"type": "string"},
                     "state": {}, "result": {"type": "string"}, "reflection": {"type": "string"},
                     "next_steps": {"type": "array", "items": {"type": "string"}},
                     "progress": {"type": "number", "minimum": 0, "maximum": 1},
                     "finished": {"type": "boolean"}}})");
             }},
    ToolInfo{"task_resume", "The last checkpoint of a long task, or the one of that name.",
             [] {
                 return schema(R"({"required": ["task"], "properties": {
                     "task": {"type": "string", "minLength": 1}, "name": {"type": "string"}}})");
             },
             true}};

json::object brief(const Entry& entry) {
    json::object out = {{"id", entry.id},
                        {"content", entry.content},
                        {"type", memory_type_name(entry.type)},
                        {"created_unix_ms", entry.created_unix_ms}};
    if (!entry.speaker.empty()) out["speaker"] = entry.speaker;
    return out;
}

json::object brief(const facts::Fact& fact) {
    json::array sources;
    for (const SourceSpan& span : fact.said.sources) sources.push_back(json::string(span.source));
    return {{"subject", fact.said.subject},      {"predicate", fact.said.predicate},
            {"object", fact.said.object},        {"confidence", fact.said.confidence},
            {"from_unix_ms", fact.from_unix_ms}, {"to_unix_ms", fact.to_unix_ms},
            {"sources", std::move(sources)}};
}

/// `name`, which cannot be left out.
void needed(ObjectReader& in, std::string_view name, std::string& out, std::size_t bytes_max) {
    in.text(name, out, bytes_max);
    if (out.empty()) in.fault(name, "is missing or empty");
}

}  // namespace

std::span<const ToolInfo> MemoryTools::all() {
    return kTools;
}

json::object MemoryTools::listing() {
    json::array tools;
    for (const ToolInfo& tool : kTools) {
        tools.push_back(
            json::object{{"name", tool.name},
                         {"description", tool.description},
                         {"inputSchema", tool.arguments()},
                         {"annotations", json::object{{"readOnlyHint", tool.reads_only},
                                                      {"destructiveHint", tool.destroys},
                                                      {"openWorldHint", false}}}});
    }
    return {{"tools", std::move(tools)}};
}

Result<json::object> MemoryTools::call(std::string_view name, const json::object& arguments) {
    using Run = Result<json::object> (MemoryTools::*)(const json::object&);
    static constexpr std::array<std::pair<std::string_view, Run>, kTools.size()> kRuns = {
        {{"memory_add", &MemoryTools::add},
         {"memory_search", &MemoryTools::search},
         {"memory_update", &MemoryTools::update},
         {"memory_remove", &MemoryTools::remove},
         {"memory_facts", &MemoryTools::facts},
         {"memory_graph", &MemoryTools::graph},
         {"task_checkpoint", &MemoryTools::checkpoint},
         {"task_resume", &MemoryTools::resume}}};
    for (const auto& [known, run] : kRuns) {
        if (known == name) return (this->*run)(arguments);
    }
    return fail_on("name", Code::not_found, "there is no tool {}",
                   std::string_view(name).substr(0, 64));
}

Filter MemoryTools::reachable() const {
    Filter filter;
    filter.scope = {.tenant = scope_.tenant, .user = scope_.user};
    filter.labels = labels_;
    return filter;
}

Result<Entry> MemoryTools::reach(const MemoryId& id) {
    auto entry = DG_TRY(store_.get(scope_.tenant, id));
    Filter filter = reachable();
    filter.expired_too = true;  // what is gone, get() does not give
    if (matches(filter, entry, 0)) return entry;
    return fail_on(id, Code::not_found, "there is no memory {}", id);
}

Result<json::object> MemoryTools::add(const json::object& arguments) {
    NewEntry entry;
    entry.scope = scope_;
    double importance = entry.importance;
    ObjectReader in(arguments);
    needed(in, "content", entry.content, kContentBytesMax);
    in.choice("type", entry.type, kTypes);
    in.number("importance", importance, 0, 1);
    const json::value* metadata = in.value("metadata");
    if (metadata != nullptr && !metadata->is_object()) in.fault("metadata", "must be an object");
    DG_TRY(in.done());
    entry.importance = static_cast<float>(importance);
    if (metadata != nullptr) entry.metadata = metadata->get_object();
    const Added added = DG_TRY(store_.add(entry, scope_.agent));
    return json::object{{"id", added.id}, {"new", added.how == Added::How::added}};
}

Result<json::object> MemoryTools::search(const json::object& arguments) {
    Query query;
    query.filter = reachable();
    ObjectReader in(arguments);
    needed(in, "query", query.text, kQueryBytesMax);
    in.integer<std::uint32_t>("limit", query.limit, 1, 50);
    in.integer<std::uint32_t>("tokens_max", query.tokens_max, 1, 100'000);
    in.integer<std::uint32_t>("neighbours", query.neighbours, 0, 10);
    DG_TRY(in.done());
    const Answer answer = DG_TRY(store_.search(query));
    json::array hits;
    for (const Hit& hit : answer.hits) {
        json::object one = brief(hit.entry);
        one["score"] = hit.score;
        for (const auto& [side, entries] :
             {std::pair{"before", &hit.before}, {"after", &hit.after}}) {
            json::array near;
            for (const Entry& entry : *entries) near.push_back(brief(entry));
            if (!near.empty()) one[side] = std::move(near);
        }
        hits.push_back(std::move(one));
    }
    return json::object{{"confidence", answer.confidence}, {"memories", std::move(hits)}};
}

Result<json::object> MemoryTools::update(const json::object& arguments) {
    std::string id, content;
    ObjectReader in(arguments);
    needed(in, "id", id, kNameBytesMax);
    needed(in, "content", content, kContentBytesMax);
    DG_TRY(in.done());
    DG_TRY(reach(id));
    return brief(DG_TRY(store_.update(scope_.tenant, id, {.content = content}, scope_.agent)));
}

Result<json::object> MemoryTools::remove(const json::object& arguments) {
    std::string id;
    ObjectReader in(arguments);
    needed(in, "id", id, kNameBytesMax);
    DG_TRY(in.done());
    DG_TRY(reach(id));
    DG_TRY(store_.remove(scope_.tenant, id, scope_.agent));
    return json::object{{"id", id}, {"removed", true}};
}

Result<json::object> MemoryTools::facts(const json::object& arguments) {
    facts::FactQuery query;
    query.scope = reachable().scope;
    ObjectReader in(arguments);
    needed(in, "subject", query.subject, kNameBytesMax);
    in.text("predicate", query.predicate, kNameBytesMax);
    in.integer<std::int64_t>("valid_at_unix_ms", query.valid_at_unix_ms, 0, 253'402'300'800'000);
    in.flag("history", query.history);
    DG_TRY(in.done());
    json::array out;
    for (const auto& fact : DG_TRY(store_.facts(scope_.tenant).query(query))) {
        out.push_back(brief(fact));
    }
    return json::object{{"facts", std::move(out)}};
}

/// Whether each of its facts is the caller's: the graph is that of the whole tenant.
Result<bool> MemoryTools::reachable(const facts::Path& path) {
    if (scope_.user.empty()) return true;
    for (const facts::Link& link : path) {
        facts::FactQuery query;
        query.scope = reachable().scope;
        query.subject = link.subject;
        query.predicate = link.predicate;
        query.object = link.object;
        query.limit = 1;
        if (DG_TRY(store_.facts(scope_.tenant).query(query)).empty()) return false;
    }
    return true;
}

Result<json::object> MemoryTools::graph(const json::object& arguments) {
    std::string name, to;
    std::uint32_t depth = 2;
    ObjectReader in(arguments);
    needed(in, "name", name, kNameBytesMax);
    in.text("to", to, kNameBytesMax);
    in.integer<std::uint32_t>("depth", depth, 1, 6);
    DG_TRY(in.done());
    facts::FactStore& store = store_.facts(scope_.tenant);
    json::array out;
    if (!to.empty()) {
        constexpr std::uint32_t kLengthMax = 4, kPathsMax = 10;
        for (const auto& path :
             DG_TRY(store.paths(scope_.tenant, name, to, kLengthMax, kPathsMax))) {
            if (!DG_TRY(reachable(path))) continue;
            std::string line;
            for (const facts::Link& link : path) {
                line += fmt::format("{}{} {} {}", line.empty() ? "" : "; ", link.subject,
                                    link.predicate, link.object);
            }
            out.push_back(json::string(line));
        }
        return json::object{{"paths", std::move(out)}};
    }
    constexpr std::uint32_t kNamesMax = 50;
    for (const auto& fact :
         DG_TRY(store.neighbourhood(scope_.tenant, name, depth, kNamesMax)).facts) {
        if (scope_.user.empty() || fact.said.scope.user == scope_.user) out.push_back(brief(fact));
    }
    return json::object{{"facts", std::move(out)}};
}

Result<json::object> MemoryTools::checkpoint(const json::object& arguments) {
    tasks::Checkpoint checkpoint;
    ObjectReader in(arguments);
    needed(in, "task", checkpoint.task, 256);
    in.text("name", checkpoint.name, 256);
    in.text("result", checkpoint.result, kContentBytesMax);
    in.text("reflection", checkpoint.reflection, kContentBytesMax);
    in.texts("next_steps", checkpoint.next_steps, 100, kContentBytesMax);
    if (in.has("progress")) in.number("progress", checkpoint.progress.emplace(), 0, 1);
    in.flag("finished", checkpoint.finished);
    if (const json::value* state = in.value("state")) checkpoint.state = base::to_text(*state);
    DG_TRY(in.done());
    const auto saved = DG_TRY(store_.save_checkpoint(scope_, checkpoint, {}, scope_.agent));
    return json::object{{"task", saved.task}, {"number", saved.number}};
}

Result<json::object> MemoryTools::resume(const json::object& arguments) {
    std::string task, name;
    ObjectReader in(arguments);
    needed(in, "task", task, 256);
    in.text("name", name, 256);
    DG_TRY(in.done());
    const auto last = DG_TRY(store_.resume_task(scope_.tenant, task, name));
    const auto summary = DG_TRY(store_.task_summary(scope_.tenant, task));
    const auto state = base::parse_json(last.state);
    return json::object{{"task", task},
                        {"number", last.number},
                        {"finished", last.finished},
                        {"state", state ? *state : json::value(json::string(last.state))},
                        {"summary", summary.text}};
}

}  // namespace memory
