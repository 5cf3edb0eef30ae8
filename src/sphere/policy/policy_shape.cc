#include "sphere/policy/policy_shape.h"

#include "sphere/policy/policy.h"
#include "sphere/spec_words.h"

namespace sphere::policy {
namespace {

using Type = Shape::Type;

template <class T, std::size_t N>
std::vector<std::string_view> words(const Words<T, N>& table) {
    std::vector<std::string_view> out;
    for (const auto& [name, value] : table) out.push_back(name);
    return out;
}

Shape text(std::string_view doc, std::size_t length_max = 256) {
    return {.type = Type::text, .doc = doc, .length_min = 1, .length_max = length_max};
}
Shape word(std::string_view doc, std::vector<std::string_view> one_of) {
    return {.type = Type::text, .doc = doc, .one_of = std::move(one_of), .length_min = 1};
}
Shape integer(std::string_view doc, double min = 0, double max = 9007199254740991.0) {
    return {.type = Type::integer, .doc = doc, .min = min, .max = max};
}
Shape number(std::string_view doc, double min, double max) {
    return {.type = Type::number, .doc = doc, .min = min, .max = max};
}
Shape flag(std::string_view doc) {
    return {.type = Type::flag, .doc = doc};
}
Shape list(std::string_view doc, const Shape& element, std::size_t length_max = 1024) {
    return {.type = Type::list, .doc = doc, .length_max = length_max, .element = &element};
}
Shape object(std::string_view doc, std::vector<Field> fields) {
    return {.type = Type::object, .doc = doc, .fields = std::move(fields)};
}

const Shape& text_element() {
    static const Shape shape = text("", 4096);
    return shape;
}
const Shape& scalar_element() {
    static const Shape shape{.type = Type::scalar};
    return shape;
}
const Shape& root_element() {
    static const Shape shape = word("", words(kRootRules));
    return shape;
}

/// Occurs within itself: `items` and `fields` are constraints again.
const Shape& constraint_shape() {
    static Shape shape;
    static Shape members;
    static const bool made = [] {
        members = {.type = Type::map,
                   .doc = "Members of an object, by name.",
                   .length_max = 1024,
                   .element = &shape};
        shape = object(
            "What an argument must be; everything stated must hold.",
            {{"type",
              word("JSON type.", {"string", "integer", "number", "boolean", "array", "object"})},
             {"required", flag("Refused when it is absent.")},
             {"enum", list("One of these values.", scalar_element())},
             {"pattern", text("Perl-style expression that the whole text matches.", 4096)},
             {"min", number("Least number.", -9007199254740991.0, 9007199254740991.0)},
             {"max", number("Largest number.", -9007199254740991.0, 9007199254740991.0)},
             {"length_max", integer("Most bytes of a text or items of a list.")},
             {"path_prefix", list("A path beneath one of these absolute paths; relative ones begin "
                                  "at /workspace.",
                                  text_element())},
             {"domain",
              list("A host or URL of one of these: example.org, *.example.org.", text_element())},
             {"items", {.type = Type::same, .element = &shape}},
             {"fields", members},
             {"other_fields", flag("An object may have members that `fields` does not name.")}});
        shape.name = "constraint";
        return true;
    }();
    static_cast<void>(made);
    return shape;
}

const Shape& rule_element() {
    static const Shape shape = object(
        "Among rules that match, deny goes before ask before allow; nothing matching denies.",
        {{"id", text("Name of the rule, once in a policy; it is in every decision.", 128), true},
         {"effect", word("What happens; ask waits for a person.", {"allow", "ask", "deny"}), true},
         {"tools", list("Exact names; \"*\" is every tool.", text_element()), true},
         {"arguments",
          {.type = Type::map, .doc = "Constraints by argument.", .element = &constraint_shape()}},
         {"other_arguments",
          flag("Arguments that are not named are fine (a deny rule never minds).")},
         {"data", list("Data classes that may be in the arguments; in a deny rule, that may not.",
                       text_element())},
         {"reason", text("Shown with the decision.", 1024)}});
    return shape;
}

const Shape& secret_element() {
    static const Shape shape =
        object("A secret and the one place it may go.",
               {{"name", text("Its name in the secret store."), true},
                {"environment", text("Variable inside the sandbox that gets the value.")},
                {"header", text("HTTP header the egress broker sets; the value stays outside.")},
                {"domains", list("Hosts the header is set for.", text_element())}});
    return shape;
}

Shape limits() {
    return object("Ceilings; one left out is a sandbox's default.",
                  {{"cpus", number("Processor time per second.", 0.01, 4096)},
                   {"memory_bytes", integer("Swap and tmpfs included.", 1)},
                   {"processes_max", integer("Threads count.", 1, 4'194'304)},
                   {"workspace_bytes", integer("Of /workspace.", 1)},
                   {"tmp_bytes", integer("Of /tmp.", 1)},
                   {"inodes_max", integer("Files in each of the two.", 1)},
                   {"open_files_max", integer("Per process.", 1, 1'048'576)},
                   {"lifetime_ms", integer("0: no end of its own.", 0, 1e14)},
                   {"idle_timeout_ms", integer("0: none.", 0, 1e14)},
                   {"gpu_share", number("Of a device.", 0, 1024)}});
}

Shape network() {
    return object("Ceilings of the network.",
                  {{"mode", word("The most open one.", words(kNetworkModes))},
                   {"allow_domains", list("Domains that may be asked for.", text_element())},
                   {"allow_cidrs", list("Address ranges that may be asked for.", text_element())},
                   {"calls_max", integer("Connections and queries.")},
                   {"bytes_max", integer("Both directions; 0: no ceiling.")}});
}

}  // namespace

const Shape& policy_shape() {
    static const Shape shape = [] {
        Shape out = object(
            "What an agent of a tenant may do.",
            {{"version", integer("Of this format.", 1, 1), true},
             {"name", text("Once in a set.", 128), true},
             {"revision", text("For people: a date, a commit.")},
             {"tenants", list("Exact names, or \"*\". Left out: every tenant.", text_element())},
             {"agents", list("Exact names, or \"*\". Left out: every agent.", text_element())},
             {"dry_run", flag("Decide and record, refuse nothing.")},
             {"audit", word("How much is recorded.", {"none", "decisions", "calls", "full"})},
             {"isolation_min", word("The weakest wall that is accepted.", words(kIsolations))},
             {"roots", list("Kinds of root a sandbox may have.", root_element())},
             {"limits", limits()},
             {"network", network()},
             {"secrets", list("What may be injected.", secret_element())},
             {"may_leave", list("Data classes that may be in arguments of tools.", text_element())},
             {"tools", list("Rules.", rule_element())}});
        out.name = "policy";
        return out;
    }();
    return shape;
}

}  // namespace sphere::policy
