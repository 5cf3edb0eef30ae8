#pragma once
// Deployed definitions, every version kept: runs hold on to the one they were started with.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "base/store/store.h"
#include "flow/step_runner.h"

namespace flow {

struct Deployed {
    std::string name, hash, description;
    std::uint32_t version = 0;
    std::int64_t created_ms = 0;
    bool unchanged = false;  ///< it was the newest already
};

/// Thread-safe.
class DefinitionStore final : public DefinitionSource {
public:
    /// `location`: as base::store::Store::open. Errors: the store's.
    static base::Result<std::unique_ptr<DefinitionStore>> open(std::string_view location,
                                                               const base::Clock& clock);

    /// The next version of its name, durable when this returns; the newest again when nothing
    /// changed. Errors: read_definition's, invalid_argument (a tool that does not exist), the
    /// store's.
    base::Result<Deployed> deploy(std::string_view tenant, std::string_view text,
                                  const std::string& file);
    /// Newest versions, by name.
    base::Result<std::vector<Deployed>> list(std::string_view tenant);
    base::Result<std::vector<Deployed>> versions(std::string_view tenant, std::string_view name);
    /// The text as it was deployed. Errors: not_found.
    base::Result<std::string> source(std::string_view tenant, std::string_view name,
                                     std::uint32_t version);
    /// No new runs of it; open ones go on. Errors: not_found.
    base::Result<void> remove(std::string_view tenant, std::string_view name);

    /// What `tool` steps may name: a workflow that names another one is refused. Before deploy().
    void know_tools(std::vector<std::string> names) { tools_ = std::move(names); }

    /// The newest version of every workflow of every tenant.
    base::Result<std::vector<std::pair<std::string, std::shared_ptr<const Definition>>>> newest();
    /// Counts what this process deployed and removed.
    std::uint64_t changes() const { return changes_; }

    base::Result<std::shared_ptr<const Definition>> find(std::string_view tenant,
                                                         std::string_view name,
                                                         std::uint32_t version) override;
    base::Result<std::shared_ptr<const Definition>> by_hash(std::string_view hash) override;

private:
    DefinitionStore(std::unique_ptr<base::store::Store> store, const base::Clock& clock)
        : store_(std::move(store)), clock_(clock) {}
    struct Row;
    base::Result<std::shared_ptr<const Definition>> read(const Row& row);

    const std::unique_ptr<base::store::Store> store_;
    const base::Clock& clock_;
    std::vector<std::string> tools_;
    std::atomic<std::uint64_t> changes_ = 0;
    std::mutex mutex_;  // guards the two below
    std::unordered_map<std::string, std::shared_ptr<const Definition>> by_hash_;
    struct Newest {
        std::shared_ptr<const Definition> definition;
        base::Instant looked;  ///< others may deploy, too, where the store is shared
    };
    std::unordered_map<std::string, Newest> newest_;  ///< tenant, name
};

}  // namespace flow
