#pragma once
// What belongs to a target, read from the tables (forget.h says what does).

#include <map>
#include <optional>
#include <set>
#include <span>
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
    /// `sealing`: of the tenant; outlives this.
    Belongings(const Request& request, const truth::Sealing& sealing)
        : request_(request), sealing_(sealing) {}

    /// Reads everything of the tenant; `sessions` may be null. Errors: theirs; not_found (an id).
    base::Result<void> read(base::store::Transaction& tx, truth::SessionTruth* sessions);
    /// The same of a scope whose memories have just these keys, without opening any of them.
    base::Result<void> read_keyed(base::store::Transaction& tx,
                                  std::span<const truth::SubjectKeys::Wrapped> keys);
    /// What was made from `sources`, which go elsewhere; they are not among what goes here.
    base::Result<void> read_made_from(base::store::Transaction& tx, truth::SessionTruth* sessions,
                                      std::span<const std::string> sources);
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
    /// What goes with its key, ascending; not among the rows.
    /// Of the text of a document.
    const std::vector<Needle>& needles() const { return needles_; }
    /// Links to what goes elsewhere that stay behind otherwise.
    const std::vector<std::string>& sources() const { return sources_; }
    const std::map<truth::RowId, MemoryId>& keyed() const { return keyed_; }
    const std::set<std::string>& facts() const { return facts_; }
    const std::set<std::string>& aliases() const { return aliases_; }
    const std::vector<Checkpoint>& checkpoints() const { return checkpoints_; }
    const std::set<Block>& blocks() const { return blocks_; }
    std::vector<std::string> names() const;
    /// Of memories and facts.
    std::vector<std::string> ids() const;
    /// Of those, and of what goes elsewhere with them.
    void and_elsewhere(std::vector<std::string> ids) { elsewhere_ = std::move(ids); }
    std::string ids_sha256() const;
    Counts counts() const;

private:
    /// Made from something, perhaps from what goes.
    struct Derived {
        Row row;
        std::vector<std::string> sources;
    };

    base::Result<void> read_document(base::store::Transaction& tx);
    base::Result<void> spare_shared(base::store::Transaction& tx);
    base::Result<void> read_facts(base::store::Transaction& tx);
    base::Result<void> read_sealed(base::store::Transaction& tx, truth::Sequence after);
    base::Result<void> read_entries(base::store::Transaction& tx);
    base::Result<void> judge_entry(const truth::StoredEntry& stored);
    base::Result<void> read_versions(base::store::Transaction& tx);
    base::Result<void> read_sessions(truth::SessionTruth& sessions);
    base::Result<void> read_checkpoints(base::store::Transaction& tx);
    base::Result<void> read_blocks(base::store::Transaction& tx);
    base::Result<std::vector<std::int64_t>> kept_marks(const truth::StoredEntry& stored) const;
    void judge_fact(const facts::Assertion& said);
    std::optional<Why> why(const Entry& entry) const;
    bool in_scope(const Scope& scope) const;
    void take(truth::RowId row, Row&& with);
    void take_derived();
    void take_derived_facts();

    const Request& request_;
    const truth::Sealing& sealing_;
    std::vector<truth::KeyId> keys_;
    std::vector<Needle> needles_;
    std::vector<std::string> sources_, elsewhere_;
    std::map<truth::RowId, MemoryId> keyed_;
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
