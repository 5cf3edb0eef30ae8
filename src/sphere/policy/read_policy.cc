// From a checked tree to values; what a shape cannot say is checked here.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sphere/net/cidr.h"
#include "sphere/net/domain.h"
#include "sphere/policy/path_text.h"
#include "sphere/policy/policy.h"
#include "sphere/policy/policy_shape.h"
#include "sphere/policy/tool_name.h"
#include "sphere/spec_words.h"

namespace sphere::policy {
namespace {

using base::Code;
using base::Node;
using base::Regex;
using base::Result;
namespace json = base::json;

constexpr Words<Effect, 3> kEffects{
    {{"deny", Effect::deny}, {"ask", Effect::ask}, {"allow", Effect::allow}}};
constexpr Words<AuditLevel, 4> kAuditLevels{{{"none", AuditLevel::none},
                                             {"decisions", AuditLevel::decisions},
                                             {"calls", AuditLevel::calls},
                                             {"full", AuditLevel::full}}};
constexpr Words<ArgumentType, 6> kArgumentTypes{{{"string", ArgumentType::string},
                                                 {"integer", ArgumentType::integer},
                                                 {"number", ArgumentType::number},
                                                 {"boolean", ArgumentType::boolean},
                                                 {"array", ArgumentType::array},
                                                 {"object", ArgumentType::object}}};

/// Reads members of a map that has the right shape; absent ones leave the target as it is.
class Reader {
public:
    Reader(const Node& node, const std::string& file) : node_(node), file_(file) {}

    const Node* find(std::string_view name) const { return node_.find(name); }
    void text(std::string_view name, std::string& out) const {
        if (const Node* node = find(name)) out = node->text;
    }
    void flag(std::string_view name, bool& out) const {
        if (const Node* node = find(name)) out = *flag_of(*node);
    }
    template <class T>
    void number(std::string_view name, T& out) const {
        if (const Node* node = find(name)) out = static_cast<T>(*number_of(*node));
    }
    void number(std::string_view name, std::optional<double>& out) const {
        if (const Node* node = find(name)) out = *number_of(*node);
    }
    void millis(std::string_view name, std::chrono::milliseconds& out) const {
        std::int64_t ms = out.count();
        number(name, ms);
        out = std::chrono::milliseconds(ms);
    }
    void texts(std::string_view name, std::vector<std::string>& out) const {
        const Node* node = find(name);
        if (node == nullptr) return;
        out.clear();
        for (const Node& item : node->items) out.push_back(item.text);
    }
    template <class T, std::size_t N>
    void word(std::string_view name, const Words<T, N>& words, T& out) const {
        if (const Node* node = find(name)) out = value_of(words, node->text);
    }
    /// Calls `check(text)` for each text of a list and says where a bad one stands.
    template <class Check>
    Result<void> each(std::string_view name, Check check) const {
        const Node* node = find(name);
        if (node == nullptr) return {};
        for (const Node& item : node->items) {
            if (auto checked = check(item.text); !checked) {
                return fault(item, checked.error().message);
            }
        }
        return {};
    }
    std::unexpected<base::Error> fault(const Node& node, std::string_view what) const {
        const std::string at = place(file_, node);
        return base::fail_on(at, Code::invalid_argument, "{}: {}", at, what);
    }
    const std::string& file() const { return file_; }
    const Node& node() const { return node_; }

private:
    const Node& node_;
    const std::string& file_;
};

json::value scalar_value(const Node& node) {
    if (const auto flag = flag_of(node)) return *flag;
    if (const auto number = number_of(node)) return *number;
    return json::value(node.text);
}

Result<Constraint> read_constraint(const Reader& in);

Result<void> read_nested(const Reader& in, Constraint& out) {
    if (const Node* items = in.find("items")) {
        out.items =
            std::make_shared<const Constraint>(DG_TRY(read_constraint(Reader(*items, in.file()))));
    }
    if (const Node* fields = in.find("fields")) {
        for (const auto& [name, node] : fields->members) {
            out.fields.emplace(name, DG_TRY(read_constraint(Reader(node, in.file()))));
        }
    }
    return {};
}

Result<Constraint> read_constraint(const Reader& in) {
    Constraint out;
    ArgumentType type{};
    in.word("type", kArgumentTypes, type);
    if (in.find("type") != nullptr) out.type = type;
    in.flag("required", out.required);
    if (const Node* values = in.find("enum")) {
        for (const Node& value : values->items) out.one_of.push_back(scalar_value(value));
        if (out.one_of.empty()) return in.fault(*values, "an empty enum lets nothing through");
    }
    if (const Node* pattern = in.find("pattern")) {
        auto compiled = Regex::compile(pattern->text);
        if (!compiled) return in.fault(*pattern, compiled.error().message);
        out.pattern = std::move(*compiled);
    }
    in.number("min", out.min);
    in.number("max", out.max);
    if (out.min && out.max && *out.min > *out.max) {
        return in.fault(*in.find("min"), "min is over max");
    }
    if (const Node* length = in.find("length_max")) {
        out.length_max = static_cast<std::uint64_t>(*number_of(*length));
    }
    DG_TRY(in.each("path_prefix", check_path_prefix));
    DG_TRY(in.each("domain", net::check_domain_pattern));
    in.texts("path_prefix", out.path_prefixes);
    in.texts("domain", out.domains);
    in.flag("other_fields", out.other_fields);
    DG_TRY(read_nested(in, out));
    return out;
}

Result<ToolRule> read_rule(const Reader& in) {
    ToolRule rule;
    in.text("id", rule.id);
    in.word("effect", kEffects, rule.effect);
    DG_TRY(in.each("tools", [](const std::string& name) -> Result<void> {
        if (name == "*") return {};
        return check_tool_name(name);
    }));
    in.texts("tools", rule.tools);
    if (rule.tools.empty()) return in.fault(in.node(), "a rule without tools never matches");
    rule.arguments.type = ArgumentType::object;
    if (const Node* arguments = in.find("arguments")) {
        for (const auto& [name, node] : arguments->members) {
            rule.arguments.fields.emplace(name, DG_TRY(read_constraint(Reader(node, in.file()))));
        }
    }
    in.flag("other_arguments", rule.arguments.other_fields);
    if (in.find("data") != nullptr) in.texts("data", rule.data.emplace());
    in.text("reason", rule.reason);
    return rule;
}

void read_limits(const Reader& in, Limits& out) {
    in.number("cpus", out.cpus);
    in.number("memory_bytes", out.memory_bytes);
    in.number("processes_max", out.processes_max);
    in.number("workspace_bytes", out.workspace_bytes);
    in.number("tmp_bytes", out.tmp_bytes);
    in.number("inodes_max", out.inodes_max);
    in.number("open_files_max", out.open_files_max);
    in.millis("lifetime_ms", out.lifetime);
    in.millis("idle_timeout_ms", out.idle_timeout);
    in.number("gpu_share", out.gpu_share);
}

Result<void> check_domain_rule(const std::string& text) {
    DG_TRY(net::parse_domain_rule(text));
    return {};
}

Result<void> read_network(const Reader& in, NetworkPolicy& out) {
    in.word("mode", kNetworkModes, out.mode);
    DG_TRY(in.each("allow_domains", check_domain_rule));
    DG_TRY(in.each("allow_cidrs", [](const std::string& text) -> Result<void> {
        DG_TRY(net::parse_cidr(text));
        return {};
    }));
    in.texts("allow_domains", out.allow_domains);
    in.texts("allow_cidrs", out.allow_cidrs);
    in.number("calls_max", out.calls_max);
    in.number("bytes_max", out.bytes_max);
    return {};
}

Result<SecretGrant> read_secret(const Reader& in) {
    SecretGrant grant;
    in.text("name", grant.name);
    in.text("environment", grant.environment);
    in.text("header", grant.header);
    DG_TRY(in.each("domains", check_domain_rule));
    in.texts("domains", grant.domains);
    if (grant.environment.empty() == grant.header.empty()) {
        return in.fault(in.node(), "a secret goes either into `environment` or into `header`");
    }
    if (!grant.header.empty() && grant.domains.empty()) {
        return in.fault(in.node(), "a header needs the `domains` it is set for");
    }
    return grant;
}

Result<void> read_rules(const Reader& in, Policy& policy) {
    const Node* rules = in.find("tools");
    if (rules == nullptr) return {};
    std::set<std::string> ids;
    for (const Node& node : rules->items) {
        policy.rules.push_back(DG_TRY(read_rule(Reader(node, in.file()))));
        if (!ids.insert(policy.rules.back().id).second) {
            return in.fault(node, fmt::format("rule {} is there twice", policy.rules.back().id));
        }
    }
    return {};
}

Result<Policy> read_policy(const Node& node, const std::string& file, const std::string& path) {
    DG_TRY(check_shape(node, policy_shape(), file, path));
    const Reader in(node, file);
    Policy policy;
    in.text("name", policy.name);
    in.text("revision", policy.revision);
    in.texts("tenants", policy.tenants);
    in.texts("agents", policy.agents);
    if (policy.tenants.empty() || policy.agents.empty()) {
        return in.fault(node, "a policy without tenants or agents applies to nobody");
    }
    in.flag("dry_run", policy.dry_run);
    in.word("audit", kAuditLevels, policy.audit);
    in.word("isolation_min", kIsolations, policy.isolation_min);
    if (const Node* roots = in.find("roots")) {
        policy.roots.clear();
        for (const Node& root : roots->items) {
            policy.roots.push_back(value_of(kRootRules, root.text));
        }
    }
    if (const Node* limits = in.find("limits")) read_limits(Reader(*limits, file), policy.limits);
    if (const Node* network = in.find("network")) {
        DG_TRY(read_network(Reader(*network, file), policy.network));
    }
    if (const Node* secrets = in.find("secrets")) {
        for (const Node& each : secrets->items) {
            policy.secrets.push_back(DG_TRY(read_secret(Reader(each, file))));
        }
    }
    in.texts("may_leave", policy.may_leave);
    DG_TRY(read_rules(in, policy));
    return policy;
}

}  // namespace

std::string_view effect_name(Effect effect) {
    return word_of(kEffects, effect);
}
std::string_view argument_type_name(ArgumentType type) {
    return word_of(kArgumentTypes, type);
}
std::string_view audit_level_name(AuditLevel level) {
    return word_of(kAuditLevels, level);
}

Result<std::vector<Policy>> parse_policies(std::string_view text, const std::string& file) {
    const Node root = DG_TRY(base::parse_document(text, file));
    std::vector<Policy> policies;
    const Node* many = root.find("policies");
    if (many == nullptr) {
        policies.push_back(DG_TRY(read_policy(root, file, "")));
        return policies;
    }
    if (root.members.size() != 1 || many->kind != Node::Kind::list) {
        const std::string at = place(file, *many);
        return base::fail_on(at, Code::invalid_argument,
                             "{}: `policies` is a list and stands alone", at);
    }
    for (std::size_t i = 0; i < many->items.size(); ++i) {
        policies.push_back(
            DG_TRY(read_policy(many->items[i], file, fmt::format("policies[{}]", i))));
    }
    return policies;
}

json::object policy_schema() {
    json::object schema =
        json_schema(policy_shape(), "urn:dougong:schema:policy:1", "Dougong sandbox policy");
    // A file holds one policy, or a list of them that stands alone.
    const json::object one{{"$ref", std::move(schema["$ref"])}};
    schema.erase("$ref");
    json::object list{{"type", "array"}, {"items", one}};
    json::object many{{"type", "object"},
                      {"properties", json::object{{"policies", std::move(list)}}},
                      {"required", json::array{"policies"}},
                      {"additionalProperties", false}};
    schema["oneOf"] = json::array{one, std::move(many)};
    return schema;
}

}  // namespace sphere::policy
