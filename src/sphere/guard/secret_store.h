#pragma once
// Where the values of secrets come from. A port: the guard asks for what a policy grants, nobody
// lists values.

#include <memory>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "sphere/audit/redactor.h"

namespace sphere::guard {

/// Thread-safe.
class SecretStore {
public:
    virtual ~SecretStore() = default;
    /// Errors: not_found; the message has no value in it.
    virtual base::Result<std::string> value(std::string_view name) const = 0;
    /// Takes every value of the store out of a text: for the audit log, log lines and output that
    /// is kept. Never null.
    virtual std::shared_ptr<const audit::Redactor> redactor() const = 0;
};

/// Has nothing.
class NoSecrets final : public SecretStore {
public:
    base::Result<std::string> value(std::string_view name) const override {
        return base::fail_on("secrets", base::Code::not_found,
                             "secrets: {} has no value here; name a file of secrets "
                             "(sandbox.secrets_file)",
                             name);
    }
    std::shared_ptr<const audit::Redactor> redactor() const override {
        return std::make_shared<const audit::Redactor>();
    }
};

/// A file `NAME: VALUE` in YAML, or JSON when its name ends so, read once. It must be a plain file
/// of this user's that nobody else can read or write (mode 0600 or less).
/// Errors: not_found; permission_denied saying which command helps; invalid_argument with line and
/// column, or naming a value shorter than Redactor::kValueBytesMin. No message has a value in it.
base::Result<std::unique_ptr<SecretStore>> load_secrets(const std::string& path);

}  // namespace sphere::guard
