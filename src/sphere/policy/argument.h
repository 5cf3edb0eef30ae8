#pragma once
// Does an argument keep its constraint? Three answers, because a deny rule and an allow rule must
// take "cannot tell" to opposite sides.

#include <string>

#include "base/json/json.h"
#include "sphere/policy/policy.h"

namespace sphere::policy {

struct Fit {
    enum class Kind : std::uint8_t {
        yes,
        no,
        unclear,  ///< of a type that a check cannot judge, or a text that may mean several things
    };
    Kind kind = Kind::yes;
    std::string why;  ///< of no and unclear: "arguments.path is ..."
};

/// For rules that let through: every part must hold; a list as a whole, all its items.
Fit fits_all(const base::json::value& value, const Constraint& constraint, const std::string& path);
/// For deny rules: the parts named must be there and hold; of a list, one item is enough.
Fit fits_any(const base::json::value& value, const Constraint& constraint, const std::string& path);

}  // namespace sphere::policy
