#pragma once
// May a call be made, must a person be asked, or not at all.

#include <string>
#include <string_view>

#include "base/json/json.h"

namespace agent {

struct Decided {
    std::string verdict;  ///< "allow", "ask", "deny"
    std::string why;      ///< of the rule; empty where it says none
};

/// The first rule of `policy` ({default, rules: [{tool, when, do, why}]}) that fits. A condition
/// that cannot be evaluated for these arguments fits, and allows nothing: an `allow` is asked
/// about, the others are as they say.
Decided decide(const base::json::value& policy, std::string_view tool,
               const base::json::value& arguments);

}  // namespace agent
