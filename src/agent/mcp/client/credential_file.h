#pragma once
// Keys that a person has given a client, kept between two runs of the program: one JSON file that
// only its owner may read. What is kept of one server never goes to another.

#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

/// Several threads and several processes may use the same file.
class CredentialFile {
public:
    /// `path`: its folder is made when something is kept. Empty: nothing is kept.
    explicit CredentialFile(std::string path) : path_(std::move(path)) {}

    /// {} when nothing is kept. `kind`: "tokens" (by resource) or "clients" (by issuer).
    /// Errors: permission_denied (others may read the file), data_loss (no JSON: remove it).
    base::Result<base::json::object> read(std::string_view kind, std::string_view name) const;
    /// Null removes.
    base::Result<void> write(std::string_view kind, std::string_view name,
                             const base::json::value& value) const;

private:
    base::Result<base::json::object> all() const;
    const std::string path_;
};

}  // namespace agent::mcp
