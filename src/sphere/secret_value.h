#pragma once
// A secret on its way to where policy lets it go. Held in memory by the sphere and its broker only.

#include <string>
#include <vector>

namespace sphere {

struct SecretValue {
    std::string name, value;
    std::string environment;           ///< a variable of every command; empty: never inside
    std::string header;                ///< the broker sets it on requests; "Authorization"
    std::vector<std::string> domains;  ///< to these only
};
using Secrets = std::vector<SecretValue>;

}  // namespace sphere
