#pragma once
// What belongs to a target, read from the tables (forget.h says what does).

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "memory/facts/fact.h"
#include "memory/forget/byte_scan.h"
#include "memory/forget/forget.h"
#include "memory/forget/subject.h"
#include "memory/truth/forgotten.h"
#include "memory/truth/session_truth.h"

namespace memory::forget {

class Belongings {
public:
    explicit Belongings(const Request& request) : request_(request) {}

    /// Reads everything of the tenant; `sessions` may be null. Errors: theirs; not_found (an id).
    base::Result<void> read(base::store::Transaction& tx, truth::SessionTruth* sessions);
    /// Reads what was written since.
    base::Result<void> read_on(base::store::Transaction& tx);

    struct Row {
        MemoryId id;
        Why why = Why::named;
        std::vector<std::int64_t> marks = {};
        std::vector<Needle> needles = {};
    };
    struct Checkpoint {
        std::string task;
        std::int64_t number = 0;
    };
    struct Block {
        std::string user, agent, name;
        bool operator<(const Block& other) const {
            return std::tie(user, agent, name) < std::tie(other.user, other.agent, other.name);
        }
    };
    std::int64_t tenant() const { return tenant_; }  ///< its number; 0: it has no memories
    const std::map<truth::RowId, Row>& rows() const { return rows_; }
    const std::set<std::string>& facts() const { return facts_; }
    const std::set<std::string>& aliases() const { return aliases_; }
    const std::vector<Checkpoint>& checkpoints() const { return checkpoints_; }
    const std::set<Block>& blocks() const { return blocks_; }
    std::vector<std::string> names() const;
    /// Of memories and facts.
    std::string ids_sha256() const;
    Counts counts() const;

private:
    /// Made from something, perhaps from what goes.
    struct Derived {
        Row row;
        std::vector<std::string> sources;
    };

    base::Result<void> read_facts(base::store::Transaction& tx);
    base::Result<void> read_entries(base::store::Transaction& tx);
    base::Result<void> judge_entry(const truth::StoredEntry& stored);
    base::Result<void> read_versions(base::store::Transaction& tx);
    base::Result<void> read_sessions(truth::SessionTruth& sessions);
    base::Result<void> read_checkpoints(base::store::Transaction& tx);
    base::Result<void> read_blocks(base::store::Transaction& tx);
    void judge_fact(const facts::Assertion& said);
    std::optional<Why> why(const Entry& entry) const;
    bool in_scope(const Scope& scope) const;
    void take(truth::RowId row, Row&& with);
    void take_derived();
    void take_derived_facts();

    const Request& request_;
    std::optional<Subject> subject_;
    std::unordered_set<std::string> wanted_;  ///< ids asked for
    std::unordered_set<std::string> fact_sources_;
    std::int64_t tenant_ = 0;
    truth::Sequence seen_ = 0;
    std::string fact_seen_;
    std::map<truth::RowId, Row> rows_;
    std::unordered_set<std::string> ids_;  ///< of rows_
    std::map<truth::RowId, Derived> derived_;
    std::unordered_map<truth::RowId, std::vector<Needle>> former_;
    std::vector<facts::Assertion>
        sourced_;  ///< facts that say where they are from, and stay so far
    std::set<std::string> facts_, aliases_;
    std::vector<Checkpoint> checkpoints_;
    std::set<Block> blocks_;
};

}  // namespace memory::forget
