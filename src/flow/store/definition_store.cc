#include "flow/store/definition_store.h"

#include <algorithm>
#include <chrono>

#include "base/core/nearest.h"
#include "flow/definition/read_definition.h"
#include "flow/run/tenant_key.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
using base::store::Row;
using base::store::Transaction;

struct DefinitionStore::Row {
    std::string tenant, name, hash, text, file;
    std::uint32_t version = 0;
};

namespace {

// What another process deployed is seen after this time at the latest: less than a request takes
// from one to the other.
constexpr std::chrono::milliseconds kFresh{2};

std::vector<std::string> tables() {
    return {
        "CREATE TABLE workflows(tenant TEXT NOT NULL, name TEXT NOT NULL, version BIGINT NOT NULL, "
        "hash TEXT NOT NULL, file TEXT NOT NULL, source TEXT NOT NULL, description TEXT NOT NULL, "
        "created BIGINT NOT NULL, removed BIGINT NOT NULL, PRIMARY KEY(tenant, name, version))",
        "CREATE INDEX workflows_hash ON workflows(hash)",
    };
}

/// Tools that steps name exist.
Result<void> check_tools(const Block& block, const std::vector<std::string>& known) {
    const auto check = [&](const Step& step) -> Result<void> {
        const auto* tool = std::get_if<ToolAction>(&step.action);
        if (tool == nullptr || std::ranges::count(known, tool->tool) > 0) return {};
        const std::vector<std::string_view> names(known.begin(), known.end());
        return base::fail_on("steps." + step.id, Code::invalid_argument,
                             "line {}: step '{}': there is no tool '{}'{}", step.line, step.id,
                             tool->tool, base::did_you_mean(tool->tool, names));
    };
    for (const Step& step : block.steps) {
        DG_TRY(check(step));
        if (step.compensation) DG_TRY(check(*step.compensation));
        if (const auto* loop = std::get_if<LoopAction>(&step.action)) {
            DG_TRY(check_tools(*loop->body, known));
        } else if (const auto* choose = std::get_if<ChooseAction>(&step.action)) {
            for (const auto& arm : choose->arms) DG_TRY(check_tools(*arm.block, known));
        } else if (const auto* parallel = std::get_if<ParallelAction>(&step.action)) {
            for (const auto& branch : parallel->branches) {
                DG_TRY(check_tools(*branch.block, known));
            }
        }
    }
    return {};
}

Deployed deployed_of(const base::store::Row& row) {
    Deployed out;
    out.name = row.text(0);
    out.version = static_cast<std::uint32_t>(row.integer(1));
    out.hash = row.text(2);
    out.description = row.text(3);
    out.created_ms = row.integer(4);
    return out;
}

std::unexpected<base::Error> unknown(std::string_view name, std::uint32_t version) {
    if (version == 0) {
        return base::fail_on("workflow", Code::not_found,
                             "there is no workflow '{}'; deploy it with POST /v1/workflows or "
                             "'dougong flow deploy FILE'",
                             name);
    }
    return base::fail_on("version", Code::not_found, "workflow '{}' has no version {}", name,
                         version);
}

}  // namespace

Result<std::unique_ptr<DefinitionStore>> DefinitionStore::open(std::string_view location,
                                                               const base::Clock& clock) {
    auto store = DG_TRY(base::store::Store::open(location, {}));
    DG_TRY(base::store::migrate(*store, "flow_workflows", tables()));
    return std::unique_ptr<DefinitionStore>(new DefinitionStore(std::move(store), clock));
}

Result<std::shared_ptr<const Definition>> DefinitionStore::read(const Row& row) {
    const auto parsed = DG_TRY(read_definition(row.text, row.file));
    auto own = std::make_shared<Definition>(*parsed);
    own->version = row.version;
    const std::lock_guard lock(mutex_);
    by_hash_[row.hash] = own;
    return std::shared_ptr<const Definition>(own);
}

Result<Deployed> DefinitionStore::deploy(std::string_view tenant, std::string_view text,
                                         const std::string& file) {
    const auto parsed = DG_TRY(read_definition(text, file));
    DG_TRY(check_tools(*parsed->body, tools_));
    Deployed out;
    out.name = parsed->name;
    out.hash = parsed->hash;
    out.description = parsed->description;
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        std::uint32_t newest = 0;
        out.unchanged = false;
        DG_TRY(
            tx.query("SELECT version, hash, removed, created FROM workflows WHERE tenant = $1 "
                     "AND name = $2 ORDER BY version DESC LIMIT 1",
                     {tenant, out.name}, [&](const base::store::Row& row) {
                         newest = static_cast<std::uint32_t>(row.integer(0));
                         out.unchanged = row.text(1) == out.hash && row.integer(2) == 0;
                         out.created_ms = row.integer(3);
                         return false;
                     }));
        out.version = out.unchanged ? newest : newest + 1;
        if (out.unchanged) return {};
        out.created_ms = clock_.unix_ns() / 1'000'000;
        DG_TRY(
            tx.run("INSERT INTO workflows(tenant, name, version, hash, file, source, "
                   "description, created, removed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)",
                   {tenant, out.name, std::int64_t{out.version}, out.hash, file, text,
                    out.description, out.created_ms}));
        return {};
    }));
    const std::lock_guard lock(mutex_);
    newest_.erase(tenant_key(tenant, out.name));
    if (!out.unchanged) ++changes_;
    return out;
}

Result<std::vector<std::pair<std::string, std::shared_ptr<const Definition>>>>
DefinitionStore::newest() {
    std::vector<std::pair<std::string, std::string>> names;
    DG_TRY(store_->read([&](Transaction& tx) {
        names.clear();
        return tx.query("SELECT DISTINCT tenant, name FROM workflows WHERE removed = 0", {},
                        [&](const base::store::Row& row) {
                            names.emplace_back(row.text(0), row.text(1));
                            return true;
                        });
    }));
    std::vector<std::pair<std::string, std::shared_ptr<const Definition>>> out;
    for (const auto& [tenant, name] : names) {
        auto found = find(tenant, name, 0);
        if (found) out.emplace_back(tenant, *std::move(found));  // else it was removed meanwhile
    }
    return out;
}

Result<std::vector<Deployed>> DefinitionStore::list(std::string_view tenant) {
    std::vector<Deployed> out;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query(
            "SELECT name, version, hash, description, created FROM workflows AS w WHERE tenant = "
            "$1 AND removed = 0 AND version = (SELECT max(version) FROM workflows WHERE tenant = "
            "w.tenant AND name = w.name) ORDER BY name",
            {tenant}, [&](const base::store::Row& row) {
                out.push_back(deployed_of(row));
                return true;
            });
    }));
    return out;
}

Result<std::vector<Deployed>> DefinitionStore::versions(std::string_view tenant,
                                                        std::string_view name) {
    std::vector<Deployed> out;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query(
            "SELECT name, version, hash, description, created FROM workflows WHERE "
            "tenant = $1 AND name = $2 AND removed = 0 ORDER BY version DESC",
            {tenant, name}, [&](const base::store::Row& row) {
                out.push_back(deployed_of(row));
                return true;
            });
    }));
    if (out.empty()) return unknown(name, 0);
    return out;
}

Result<std::string> DefinitionStore::source(std::string_view tenant, std::string_view name,
                                            std::uint32_t version) {
    std::optional<std::string> out;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query(
            "SELECT source FROM workflows WHERE tenant = $1 AND name = $2 AND removed "
            "= 0 AND (version = $3 OR $3 = 0) ORDER BY version DESC LIMIT 1",
            {tenant, name, std::int64_t{version}}, [&](const base::store::Row& row) {
                out = std::string(row.text(0));
                return false;
            });
    }));
    if (!out) return unknown(name, version);
    return *std::move(out);
}

Result<void> DefinitionStore::remove(std::string_view tenant, std::string_view name) {
    std::int64_t removed = 0;
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        removed =
            DG_TRY(tx.run("UPDATE workflows SET removed = $3 WHERE tenant = $1 AND name = $2 "
                          "AND removed = 0",
                          {tenant, name, clock_.unix_ns() / 1'000'000}));
        return {};
    }));
    const std::lock_guard lock(mutex_);
    newest_.erase(tenant_key(tenant, name));
    ++changes_;
    if (removed == 0) return unknown(name, 0);
    return {};
}

Result<std::shared_ptr<const Definition>> DefinitionStore::find(std::string_view tenant,
                                                                std::string_view name,
                                                                std::uint32_t version) {
    const std::string key = tenant_key(tenant, name);
    if (version == 0) {
        const std::lock_guard lock(mutex_);
        const auto found = newest_.find(key);
        if (found != newest_.end() &&
            (!store_->shared() || clock_.now() - found->second.looked < kFresh)) {
            return found->second.definition;
        }
    }
    const base::Instant looked = clock_.now();
    std::optional<Row> row;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query(
            "SELECT hash, source, file, version FROM workflows WHERE tenant = $1 AND "
            "name = $2 AND removed = 0 AND (version = $3 OR $3 = 0) ORDER BY version "
            "DESC LIMIT 1",
            {tenant, name, std::int64_t{version}}, [&](const base::store::Row& found) {
                row = Row{std::string(tenant),        std::string(name),
                          std::string(found.text(0)), std::string(found.text(1)),
                          std::string(found.text(2)), static_cast<std::uint32_t>(found.integer(3))};
                return false;
            });
    }));
    if (!row) return unknown(name, version);
    std::shared_ptr<const Definition> definition;
    {
        const std::lock_guard lock(mutex_);
        const auto known = by_hash_.find(row->hash);
        if (known != by_hash_.end() && known->second->version == row->version) {
            definition = known->second;
        }
    }
    if (definition == nullptr) definition = DG_TRY(read(*row));
    if (version == 0) {
        const std::lock_guard lock(mutex_);
        newest_[key] = {definition, looked};
    }
    return definition;
}

Result<std::shared_ptr<const Definition>> DefinitionStore::by_hash(std::string_view hash) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = by_hash_.find(std::string(hash));
        if (found != by_hash_.end()) return found->second;
    }
    std::optional<Row> row;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query(
            "SELECT tenant, name, source, file, version FROM workflows WHERE hash = $1 "
            "ORDER BY created DESC LIMIT 1",
            {hash}, [&](const base::store::Row& found) {
                row = Row{std::string(found.text(0)), std::string(found.text(1)),
                          std::string(hash),          std::string(found.text(2)),
                          std::string(found.text(3)), static_cast<std::uint32_t>(found.integer(4))};
                return false;
            });
    }));
    if (!row) {
        return fail(Code::not_found, "the definition {} of a run is not in the store", hash);
    }
    return read(*row);
}

}  // namespace flow
