#pragma once
// A schema being read: the conjunction of several schema objects at once, so that allOf and $ref
// need no merging of documents.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace engine::constrain {

/// Bits of the JSON types; integers and other numbers are apart.
enum TypeBits : std::uint8_t {
    kNull = 1,
    kBoolean = 2,
    kInteger = 4,
    kFraction = 8,
    kString = 16,
    kArray = 32,
    kObject = 64,
    kNumber = kInteger | kFraction,
    kAllTypes = 127,
};

/// Keywords of a part that other parts of the conjunction now stand for.
enum TakenBits : std::uint8_t {
    kChoices = 1,
    kNot = 2,
    kCondition = 4,
    kDependencies = 8,
    kListed = 16,
};

/// One schema object that must hold.
struct Part {
    const base::json::object* schema = nullptr;
    std::string path;        ///< where it stands, as $.properties.name
    std::uint8_t taken = 0;  ///< TakenBits

    const base::json::value* find(std::string_view keyword) const {
        return schema->if_contains(keyword);
    }
    std::string at(std::string_view keyword) const { return path + "." + std::string(keyword); }
};

/// All parts must hold. `impossible`: some part is the schema `false`.
struct Conjunction {
    std::vector<Part> parts;
    bool impossible = false;

    std::string key() const;  ///< equal for equal conjunctions of one document
};

class SchemaDocument {
public:
    explicit SchemaDocument(const base::json::value& root) : root_(root) {}

    const base::json::value& root() const { return root_; }
    /// Adds `schema` with everything its $ref and allOf bring.
    base::Result<void> add(Conjunction& all, const base::json::value& schema,
                           const std::string& path) const;
    base::Result<const base::json::value*> resolve(std::string_view reference,
                                                   const std::string& path) const;
    /// True only when no value satisfies both; false when that is not seen.
    bool disjoint(const Conjunction& a, const Conjunction& b, int depth = 0) const;

private:
    const base::json::value* find_anchor(const base::json::value& at, std::string_view name,
                                         int depth) const;
    bool objects_disjoint(const Conjunction& a, const Conjunction& b, int depth) const;
    const base::json::value& root_;
};

/// Types that the parts' `type` and `nullable` leave. Errors: invalid_argument.
base::Result<std::uint8_t> allowed_types(const Conjunction& all);
std::uint8_t type_of(const base::json::value& value);
/// Equality as JSON Schema has it: 1 equals 1.0.
bool same_value(const base::json::value& a, const base::json::value& b);
/// The values that enum and const leave, or nothing when no part has either.
base::Result<std::optional<std::vector<base::json::value>>> listed_values(const Conjunction& all);

}  // namespace engine::constrain
