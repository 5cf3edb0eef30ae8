#pragma once
// All policies of a server, compiled: which one applies to whom, and what it says to a call.
// Denies whatever no rule allows.
//
// Precedence, which the order in the file never changes:
//   1. The policy: tenant and agent named > tenant named > agent named > neither. One, never
//   merged.
//   2. Among its rules that match: deny before ask before allow; of equals, the least id is named.
//   3. A rule that lets through matches when every constraint holds for certain; a deny rule
//      matches unless one fails for certain.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "sphere/policy/policy.h"

namespace sphere::policy {

struct ToolRequest {
    std::string tenant, agent;
    std::string tool;
    base::json::value arguments = base::json::object{};
    std::vector<std::string> data;  ///< classes of what is in the arguments, by where it came from
};

struct Decision {
    enum class Cause : std::uint8_t {
        rule,
        no_rule,        ///< none that matches
        tool_rejected,  ///< the name is, or looks like, another one
        no_policy,      ///< for this tenant and agent
        stale_policy,   ///< the files are not what was loaded
    };
    Effect effect = Effect::deny;
    Cause cause = Cause::no_policy;
    std::string policy, rule;
    std::string reason;    ///< for people and the audit log
    bool enforced = true;  ///< false in a dry run
    AuditLevel audit = AuditLevel::full;

    bool blocks() const { return enforced && effect != Effect::allow; }
};
std::string_view cause_name(Decision::Cause cause);

/// One rule's answer, in the order in which they are asked.
struct RuleTrace {
    std::string rule;
    Effect effect = Effect::deny;
    bool matches = false;
    std::string why;  ///< when it does not
};

struct Explanation {
    Decision decision;
    std::vector<RuleTrace> rules;  ///< every rule for this tool
};

/// Immutable; any thread may use it.
class PolicySet {
public:
    /// Errors: already_exists for a name twice, or two policies for the same tenant and agent.
    static base::Result<PolicySet> create(std::vector<Policy> policies);

    Decision decide(const ToolRequest& request) const;
    Explanation explain(const ToolRequest& request) const;

    /// The spec as it may be created, `policy` filled in with the name of the one that applies.
    /// Nothing is made smaller in silence. Errors: permission_denied, naming field, asked and
    /// allowed; the subject is the field's JSON path.
    base::Result<SandboxSpec> admit(const SandboxSpec& spec) const;

    /// The policy that applies; null when there is none.
    const Policy* find(std::string_view tenant, std::string_view agent) const;
    std::vector<const Policy*> list() const;

    ~PolicySet();
    PolicySet(PolicySet&&) noexcept;
    PolicySet& operator=(PolicySet&&) noexcept;

private:
    struct Table;
    explicit PolicySet(std::vector<std::unique_ptr<Table>> tables);
    const Table* find_table(std::string_view tenant, std::string_view agent) const;

    std::vector<std::unique_ptr<Table>> tables_;
    /// By tenant, then by agent; "*" is one of the names.
    std::map<std::string, std::map<std::string, std::size_t, std::less<>>, std::less<>> by_scope_;
};

/// admit for one policy.
base::Result<void> check_ceilings(const SandboxSpec& spec, const Policy& policy);

}  // namespace sphere::policy
