#pragma once
// One policy as values: what an agent of a tenant may do. Written as YAML or JSON, see the README
// and policy.schema.json. [AInfra 2.2.2] SecurityPolicy.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "base/regex/regex.h"
#include "sphere/spec.h"
#include "sphere/spec_words.h"

namespace sphere::policy {

enum class Effect : std::uint8_t { deny, ask, allow };  ///< in order of precedence
std::string_view effect_name(Effect effect);

enum class ArgumentType : std::uint8_t { string, integer, number, boolean, array, object };
std::string_view argument_type_name(ArgumentType type);

/// What one argument must be. Everything stated must hold.
struct Constraint {
    std::optional<ArgumentType> type;
    bool required = false;
    std::vector<base::json::value> one_of;
    std::optional<base::Regex> pattern;        ///< of the whole text
    std::optional<double> min, max;            ///< of a number
    std::optional<std::uint64_t> length_max;   ///< bytes of a text, items of a list
    std::vector<std::string> path_prefixes;    ///< absolute, normal; the text is a path beneath one
    std::vector<std::string> domains;          ///< the text is a host or a URL of one
    std::shared_ptr<const Constraint> items;   ///< of a list: each one (in a deny rule: any one)
    std::map<std::string, Constraint> fields;  ///< of an object
    bool other_fields = false;                 ///< an object may have more than `fields`
};

struct ToolRule {
    std::string id;
    Effect effect = Effect::deny;
    std::vector<std::string> tools;  ///< exact names; "*": every tool
    Constraint arguments;            ///< of the arguments object
    /// Data classes that may be in the arguments (in a deny rule: may not). Without: the policy's
    /// may_leave (in a deny rule: whatever they are).
    std::optional<std::vector<std::string>> data;
    std::string reason;  ///< shown with the decision
};

/// A secret and the one place it may go.
struct SecretGrant {
    std::string name;
    std::string environment;           ///< a variable inside; empty: never inside
    std::string header;                ///< set by the egress broker, outside
    std::vector<std::string> domains;  ///< for these only
};

enum class AuditLevel : std::uint8_t { none, decisions, calls, full };
std::string_view audit_level_name(AuditLevel level);

/// Which roots a sandbox may have.
enum class RootRule : std::uint8_t {
    host,       ///< this host's own programs
    imported,   ///< an image by the name or digest it was imported under
    image,      ///< any image, by its place on this host too
    directory,  ///< a prepared tree of this host
};

inline constexpr Words<RootRule, 4> kRootRules{{{"host", RootRule::host},
                                                {"imported", RootRule::imported},
                                                {"image", RootRule::image},
                                                {"directory", RootRule::directory}}};

struct Policy {
    std::string name, revision;
    std::vector<std::string> tenants{"*"}, agents{"*"};  ///< exact names, or "*"
    bool dry_run = false;                                ///< decides and records, refuses nothing
    AuditLevel audit = AuditLevel::full;
    Isolation isolation_min = Isolation::full;
    std::vector<RootRule> roots{RootRule::host};
    Limits limits;          ///< ceilings; one left out is the sandbox's default
    NetworkPolicy network;  ///< ceilings; lists name what may be asked for
    std::vector<SecretGrant> secrets;
    std::vector<std::string> may_leave{"public"};  ///< data classes
    std::vector<ToolRule> rules;
};

/// The policies of one text: a policy, or a map with `policies: [...]`.
/// Errors: invalid_argument with "file:line:column" as subject.
base::Result<std::vector<Policy>> parse_policies(std::string_view text, const std::string& file);

/// policy.schema.json.
base::json::object policy_schema();

}  // namespace sphere::policy
