#pragma once
// Policies from files, and the guard over them: a file that is not what was loaded stops every
// decision until somebody loads it on purpose (S54).

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "sphere/policy/policy_set.h"

namespace sphere::policy {

/// Thread-safe.
class PolicyStore {
public:
    /// A file, or a folder whose *.yaml, *.yml and *.json are read, by name.
    /// Errors: not_found, those of parsing and of PolicySet::create.
    static base::Result<std::unique_ptr<PolicyStore>> open(std::string path,
                                                           const base::Clock& clock);
    /// Policies that are part of the program: `text` as in a file called `name`. Never stale.
    /// Errors: those of parsing.
    static base::Result<std::unique_ptr<PolicyStore>> of(std::string text, std::string name,
                                                         const base::Clock& clock);
    ~PolicyStore();

    /// Reads the files again; on an error the old policies stay (and stay stale).
    base::Result<void> reload();

    /// PolicySet's; deny with stale_policy while a file was changed, added or removed. Costs one
    /// stat a file; just after a change also its reading.
    Decision decide(const ToolRequest& request);
    Explanation explain(const ToolRequest& request);
    /// PolicySet's; failed_precondition while stale.
    base::Result<SandboxSpec> admit(const SandboxSpec& spec);
    /// Errors: failed_precondition naming the file while a file was changed, added or removed.
    base::Result<void> check_fresh();

    /// The policies in force. Stays valid over a reload.
    std::shared_ptr<const PolicySet> policies() const;
    /// SHA-256 over names and contents of the files, for the audit log.
    std::string digest() const;
    /// The file or folder they come from, or the name that `of` was given.
    const std::string& source() const { return path_; }

private:
    struct Loaded;
    PolicyStore(std::string path, std::string text, const base::Clock& clock);
    std::shared_ptr<Loaded> current() const;
    base::Result<void> check_fresh(Loaded& loaded);

    const std::string path_, built_in_;  ///< built_in_: the text, when there are no files
    const base::Clock& clock_;
    mutable std::mutex mutex_;
    std::shared_ptr<Loaded> loaded_;  // guarded by mutex_
};

}  // namespace sphere::policy
