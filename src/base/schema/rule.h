#pragma once
// A schema as the checker walks it. Internal to this folder: compile.cc makes it, check.cc reads
// it. Rules refer to each other by index, because schemas refer to themselves.

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/json/pointer.h"
#include "base/regex/regex.h"

namespace base::schema {

using RuleIndex = std::uint32_t;
constexpr std::uint64_t kNoMax = std::numeric_limits<std::uint64_t>::max();

enum Types : std::uint8_t {
    kNull = 1,
    kBoolean = 2,
    kInteger = 4,
    kNumber = 8,
    kString = 16,
    kArray = 32,
    kObject = 64,
    kEveryType = 127,
};

/// From `min` to `max`; kNoMax: no bound.
struct Count {
    std::uint64_t min = 0, max = kNoMax;
    bool holds(std::uint64_t n) const { return n >= min && n <= max; }
};

using FormatTest = bool (*)(std::string_view);

struct StringRule {
    Count length;  ///< in code points
    std::optional<Regex> pattern;
    std::string format;
    FormatTest format_test = nullptr;
};

struct NumberRule {
    std::optional<double> minimum, maximum, above, below, multiple_of;
};

struct ArrayRule {
    std::vector<RuleIndex> prefix;
    std::optional<RuleIndex> items, contains, unevaluated;
    Count count, contained{1, kNoMax};
    bool unique = false;
};

struct ObjectRule {
    std::map<std::string, RuleIndex, std::less<>> properties;
    std::vector<std::pair<Regex, RuleIndex>> patterns;
    std::optional<RuleIndex> additional, names, unevaluated;
    std::vector<std::string> required;
    std::vector<std::pair<std::string, std::vector<std::string>>> needs;
    std::vector<std::pair<std::string, RuleIndex>> needs_rule;
    Count count;
};

struct Rule {
    bool never = false;  ///< the schema `false`
    std::uint8_t types = kEveryType;
    std::optional<std::set<std::string>> one_of;  ///< canonical texts
    std::string one_of_text;                      ///< for people
    std::unique_ptr<NumberRule> number;
    std::unique_ptr<StringRule> string;
    std::unique_ptr<ArrayRule> array;
    std::unique_ptr<ObjectRule> object;
    std::vector<RuleIndex> all, any, one;
    std::optional<RuleIndex> not_, if_, then_, else_, ref;
    std::string dynamic_ref;     ///< the anchor's name; `ref` is where it leads without scopes
    std::uint32_t resource = 0;  ///< the nearest schema around it with an `$id`
    std::string place;           ///< JSON pointer in the schema
};

struct Rules {
    std::vector<std::unique_ptr<Rule>> rules;
    /// Of each resource: `$dynamicAnchor` to rule.
    std::vector<std::map<std::string, RuleIndex, std::less<>>> dynamic_anchors;
    bool unevaluated = false;  ///< some rule asks what others looked at
};

/// Errors: as SchemaCheck::compile. `schema` is read during the call only.
Result<Rules> compile(const json::value& schema);

/// Errors: as SchemaCheck::check.
Result<void> check(const Rules& rules, const json::value& value);

/// The test behind a format's name; null for those that are only notes.
FormatTest format_test(std::string_view name);

}  // namespace base::schema
