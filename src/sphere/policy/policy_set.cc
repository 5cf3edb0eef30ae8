#include "sphere/policy/policy_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "sphere/policy/argument.h"
#include "sphere/policy/tool_name.h"

namespace sphere::policy {
namespace {

using base::Code;
using base::Result;
using Cause = Decision::Cause;

constexpr std::string_view kEvery = "*";

/// Why data of these classes may not be in the arguments; empty when it may.
std::string forbidden_data(const ToolRule& rule, const Policy& policy,
                           const std::vector<std::string>& classes) {
    const auto& may = rule.data ? *rule.data : policy.may_leave;
    for (const std::string& each : classes) {
        if (!std::ranges::count(may, each)) {
            return fmt::format("data of class {} may not reach this tool", each);
        }
    }
    return "";
}

bool has_any(const std::vector<std::string>& classes, const std::vector<std::string>& wanted) {
    return std::ranges::any_of(classes,
                               [&](const auto& each) { return std::ranges::count(wanted, each); });
}

RuleTrace try_rule(const ToolRule& rule, const Policy& policy, const ToolRequest& request) {
    RuleTrace trace{rule.id, rule.effect, false, ""};
    if (rule.effect == Effect::deny) {
        if (rule.data && !has_any(request.data, *rule.data)) {
            trace.why = "none of its data classes is in the arguments";
            return trace;
        }
        Fit fit = fits_any(request.arguments, rule.arguments, "arguments");
        trace.matches = fit.kind != Fit::Kind::no;
        trace.why = std::move(fit.why);
        return trace;
    }
    Fit fit = fits_all(request.arguments, rule.arguments, "arguments");
    trace.why = fit.kind == Fit::Kind::yes ? forbidden_data(rule, policy, request.data)
                                           : std::move(fit.why);
    trace.matches = trace.why.empty();
    return trace;
}

}  // namespace

/// One policy and its decision table: for each tool it names, the rules to ask, in order.
struct PolicySet::Table {
    Policy policy;
    std::unordered_map<std::string, std::vector<const ToolRule*>> by_tool;
    std::vector<const ToolRule*> for_every;  ///< tools that no rule names
    std::unordered_map<std::string, std::string> by_skeleton, by_tail;  ///< to a tool's name

    explicit Table(Policy p) : policy(std::move(p)) {
        std::set<std::string> named;
        for (const ToolRule& rule : policy.rules) {
            for (const std::string& tool : rule.tools) {
                if (tool != kEvery) named.insert(tool);
            }
        }
        for (const std::string& tool : named) add_tool(tool);
        for (const ToolRule& rule : policy.rules) {
            if (std::ranges::count(rule.tools, kEvery)) for_every.push_back(&rule);
        }
        sort(for_every);
    }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    const std::vector<const ToolRule*>& rules_of(const std::string& tool) const {
        const auto found = by_tool.find(tool);
        return found == by_tool.end() ? for_every : found->second;
    }

    /// Why `tool`, which is not named, must not pass for one that is; empty when it does not.
    std::string impersonates(const std::string& tool) const {
        if (by_tool.contains(tool)) return "";
        const std::string skeleton = tool_skeleton(tool);
        if (const auto found = by_skeleton.find(skeleton); found != by_skeleton.end()) {
            return fmt::format("looks like {}; tools are named exactly", found->second);
        }
        if (const auto found = by_tail.find(skeleton); found != by_tail.end()) {
            return fmt::format("is {} without its namespace; tools are named exactly",
                               found->second);
        }
        for (const std::string& tail : tail_skeletons(tool)) {
            if (const auto found = by_skeleton.find(tail); found != by_skeleton.end()) {
                return fmt::format("is {} in another namespace; tools are named exactly",
                                   found->second);
            }
        }
        return "";
    }

private:
    void add_tool(const std::string& tool) {
        std::vector<const ToolRule*>& rules = by_tool[tool];
        for (const ToolRule& rule : policy.rules) {
            if (std::ranges::count(rule.tools, tool) || std::ranges::count(rule.tools, kEvery)) {
                rules.push_back(&rule);
            }
        }
        sort(rules);
        by_skeleton.emplace(tool_skeleton(tool), tool);
        for (std::string& tail : tail_skeletons(tool)) by_tail.emplace(std::move(tail), tool);
    }
    static void sort(std::vector<const ToolRule*>& rules) {
        std::ranges::sort(rules, {}, [](const ToolRule* rule) {
            return std::pair<Effect, std::string_view>(rule->effect, rule->id);
        });
    }
};

std::string_view cause_name(Cause cause) {
    switch (cause) {
        case Cause::rule:
            return "rule";
        case Cause::no_rule:
            return "no_rule";
        case Cause::tool_rejected:
            return "tool_rejected";
        case Cause::no_policy:
            return "no_policy";
        case Cause::stale_policy:
            return "stale_policy";
    }
    return "";
}

PolicySet::PolicySet(std::vector<std::unique_ptr<Table>> tables) : tables_(std::move(tables)) {}
PolicySet::~PolicySet() = default;
PolicySet::PolicySet(PolicySet&&) noexcept = default;
PolicySet& PolicySet::operator=(PolicySet&&) noexcept = default;

Result<PolicySet> PolicySet::create(std::vector<Policy> policies) {
    std::vector<std::unique_ptr<Table>> tables;
    for (Policy& policy : policies) tables.push_back(std::make_unique<Table>(std::move(policy)));
    PolicySet set(std::move(tables));
    std::set<std::string> names;
    for (std::size_t i = 0; i < set.tables_.size(); ++i) {
        const Policy& policy = set.tables_[i]->policy;
        if (!names.insert(policy.name).second) {
            return base::fail_on(policy.name, Code::already_exists, "two policies are named {}",
                                 policy.name);
        }
        for (const std::string& tenant : policy.tenants) {
            for (const std::string& agent : policy.agents) {
                const auto [at, fresh] = set.by_scope_[tenant].emplace(agent, i);
                if (fresh || at->second == i) continue;
                return base::fail_on(policy.name, Code::already_exists,
                                     "policies {} and {} are both for tenant {} and agent {}; one "
                                     "policy applies, so make one of them",
                                     set.tables_[at->second]->policy.name, policy.name, tenant,
                                     agent);
            }
        }
    }
    return set;
}

const PolicySet::Table* PolicySet::find_table(std::string_view tenant,
                                              std::string_view agent) const {
    for (const std::string_view tenant_key : {tenant, kEvery}) {
        const auto agents = by_scope_.find(tenant_key);
        if (agents == by_scope_.end()) continue;
        for (const std::string_view agent_key : {agent, kEvery}) {
            const auto found = agents->second.find(agent_key);
            if (found != agents->second.end()) return tables_[found->second].get();
        }
    }
    return nullptr;
}

const Policy* PolicySet::find(std::string_view tenant, std::string_view agent) const {
    const Table* table = find_table(tenant, agent);
    return table == nullptr ? nullptr : &table->policy;
}

std::vector<const Policy*> PolicySet::list() const {
    std::vector<const Policy*> out;
    for (const auto& table : tables_) out.push_back(&table->policy);
    return out;
}

Decision PolicySet::decide(const ToolRequest& request) const {
    Decision decision;
    const Table* table = find_table(request.tenant, request.agent);
    if (table == nullptr) {
        decision.reason = fmt::format("no policy is for tenant {} and agent {}", request.tenant,
                                      request.agent.empty() ? "(none)" : request.agent);
        return decision;
    }
    decision.policy = table->policy.name;
    decision.enforced = !table->policy.dry_run;
    decision.audit = table->policy.audit;
    decision.cause = Cause::tool_rejected;
    if (auto named = check_tool_name(request.tool); !named) {
        decision.reason = std::move(named).error().message;
        return decision;
    }
    if (std::string what = table->impersonates(request.tool); !what.empty()) {
        decision.reason = fmt::format("tool {} {}", request.tool, what);
        return decision;
    }
    decision.cause = Cause::no_rule;
    for (const ToolRule* rule : table->rules_of(request.tool)) {
        RuleTrace trace = try_rule(*rule, table->policy, request);
        if (!trace.matches) {
            if (decision.reason.empty() && rule->effect != Effect::deny) {
                decision.reason = fmt::format("rule {}: {}", rule->id, trace.why);
            }
            continue;
        }
        decision.effect = rule->effect;
        decision.cause = Cause::rule;
        decision.rule = rule->id;
        decision.reason = !rule->reason.empty() ? rule->reason : std::move(trace.why);
        return decision;
    }
    if (decision.reason.empty()) {
        decision.reason = fmt::format("no rule is for tool {}", request.tool);
    }
    return decision;
}

Explanation PolicySet::explain(const ToolRequest& request) const {
    Explanation out{decide(request), {}};
    const Table* table = find_table(request.tenant, request.agent);
    if (table == nullptr) return out;
    for (const ToolRule* rule : table->rules_of(request.tool)) {
        out.rules.push_back(try_rule(*rule, table->policy, request));
    }
    return out;
}

Result<SandboxSpec> PolicySet::admit(const SandboxSpec& spec) const {
    const Policy* policy = find(spec.tenant, spec.agent);
    if (policy == nullptr) {
        return base::fail_on("policy", Code::permission_denied,
                             "no policy is for tenant {} and agent {}", spec.tenant,
                             spec.agent.empty() ? "(none)" : spec.agent);
    }
    if (!spec.policy.empty() && spec.policy != policy->name) {
        return base::fail_on("policy", Code::permission_denied,
                             "policy: asked {}, for this tenant and agent it is {}", spec.policy,
                             policy->name);
    }
    if (!policy->dry_run) DG_TRY(check_ceilings(spec, *policy));
    SandboxSpec admitted = spec;
    admitted.policy = policy->name;
    return admitted;
}

}  // namespace sphere::policy
