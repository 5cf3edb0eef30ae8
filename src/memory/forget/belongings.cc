#include "memory/forget/belongings.h"

#include <algorithm>
#include <utility>

#include "base/files/sha256.h"
#include "memory/facts/fact_rows.h"
#include "memory/knowledge/document_rows.h"
#include "memory/truth/similar.h"

namespace memory::forget {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::Result;
using base::store::Transaction;
using truth::Sequence;

bool any_text(const json::value& value, const auto& says) {
    if (value.is_string()) return says(std::string_view(value.get_string()));
    if (value.is_array()) {
        return std::ranges::any_of(value.get_array(),
                                   [&](const json::value& one) { return any_text(one, says); });
    }
    if (!value.is_object()) return false;
    return std::ranges::any_of(value.get_object(), [&](const auto& field) {
        return says(std::string_view(field.key())) || any_text(field.value(), says);
    });
}

std::vector<Needle> needles_of(const Entry& entry) {
    const auto needle = needle_of(entry.content);
    return needle ? std::vector<Needle>{*needle} : std::vector<Needle>{};
}

}  // namespace

bool Belongings::in_scope(const Scope& scope) const {
    const Scope& asked = request_.target.scope;
    const auto fits = [](const std::string& want, const std::string& has) {
        return want.empty() || want == has;
    };
    const bool narrowed =
        !asked.user.empty() || !asked.agent.empty() || !asked.session.empty() || !asked.run.empty();
    return narrowed && fits(asked.user, scope.user) && fits(asked.agent, scope.agent) &&
           fits(asked.session, scope.session) && fits(asked.run, scope.run);
}

std::optional<Why> Belongings::why(const Entry& entry) const {
    if (!request_.target.document.empty() && (wanted_.contains(entry.id) || in_scope(entry.scope)))
        return Why::passage;
    if (wanted_.contains(entry.id)) return Why::named;
    if (in_scope(entry.scope)) return Why::in_scope;
    if (!subject_) return std::nullopt;
    if (subject_->is(entry.scope.user)) return Why::user;
    if (subject_->is(entry.speaker)) return Why::speaker;
    if (fact_sources_.contains(entry.id)) return Why::fact_source;
    const auto says = [&](std::string_view text) { return subject_->named_in(text); };
    if (says(entry.content) || says(entry.media.uri) || any_text(json::value(entry.metadata), says))
        return Why::mentions;
    return std::nullopt;
}

void Belongings::take(truth::RowId row, Row&& with) {
    ids_.insert(with.id);
    Row& kept = rows_[row];
    if (kept.id.empty()) kept.why = with.why;
    kept.id = std::move(with.id);
    kept.marks = std::move(with.marks);
    kept.needles.insert(kept.needles.end(), with.needles.begin(), with.needles.end());
    derived_.erase(row);
}

void Belongings::judge_fact(const facts::Assertion& said) {
    const bool mine = in_scope(said.scope) || (subject_ && subject_->in(said));
    if (mine) {
        facts_.insert(said.id);
        if (!subject_) return;
        for (const SourceSpan& span : said.sources) fact_sources_.insert(span.source);
    } else if (!said.sources.empty()) {
        sourced_.push_back(said);
    }
}

Result<void> Belongings::read_facts(Transaction& tx) {
    const std::string& tenant = request_.tenant;
    const auto said = DG_TRY(facts::load_facts(tx, tenant, sealing_, fact_seen_));
    if (!request_.target.subject.empty() && !subject_) {
        std::vector<std::pair<std::string, std::string>> aliases;
        DG_TRY(facts::load_aliases(tx, tenant, [&](std::string_view alias, std::string_view name) {
            aliases.emplace_back(alias, name);
        }));
        subject_.emplace(request_.target.subject, said, aliases);
        for (const auto& [alias, name] : aliases) {
            if (subject_->is(alias)) aliases_.insert(alias);
        }
    }
    for (const facts::Assertion& one : said) judge_fact(one);
    if (!said.empty()) fact_seen_ = said.back().id;
    return {};
}

Result<void> Belongings::read_entries(Transaction& tx) {
    const Sequence after = std::exchange(seen_, DG_TRY(truth::last_sequence(tx, tenant_)));
    const auto judge = [this](truth::StoredEntry&& stored) { return judge_entry(stored); };
    // The database knows scopes; names in texts it does not.
    if (after == 0 && in_scope(request_.target.scope)) {
        return truth::each_in_scope(tx, request_.tenant, tenant_, request_.target.scope, sealing_,
                                    judge);
    }
    return truth::each_present(tx, request_.tenant, tenant_, after, sealing_, judge);
}

/// By which its like is found.
Result<std::vector<std::int64_t>> Belongings::kept_marks(const truth::StoredEntry& stored) const {
    const Entry& entry = stored.entry;
    return sealing_.marks(stored.key, truth::marks_of(entry.scope, entry.type, entry.content,
                                                      entry.speaker, entry.created_unix_ms));
}

Result<void> Belongings::judge_entry(const truth::StoredEntry& stored) {
    const Entry& entry = stored.entry;
    const auto reason = why(entry);
    if (keyed_.contains(stored.row)) return {};
    Row row{entry.id, reason.value_or(Why::made_from), {}, {}};
    if (!reason && !rows_.contains(stored.row) && entry.sources.empty()) return {};
    row.needles = needles_of(entry);
    if (stored.state == truth::RowState::live) {
        row.marks = DG_TRY(kept_marks(stored));
    }
    if (reason || rows_.contains(stored.row)) {
        take(stored.row, std::move(row));
        return {};
    }
    Derived derived{std::move(row), {}};
    for (const SourceSpan& span : entry.sources) derived.sources.push_back(span.source);
    derived_[stored.row] = std::move(derived);
    return {};
}

/// After the entries: a row that is found here is there with its present state.
Result<void> Belongings::read_versions(Transaction& tx) {
    std::set<truth::RowId> named;
    DG_TRY(truth::each_former(tx, request_.tenant, tenant_, sealing_,
                              [&](truth::StoredEntry&& stored) -> Result<void> {
                                  auto& needles = former_[stored.row];
                                  for (const Needle n : needles_of(stored.entry)) {
                                      needles.push_back(n);
                                  }
                                  if (!rows_.contains(stored.row) && subject_ && why(stored.entry))
                                      named.insert(stored.row);
                                  return {};
                              }));
    if (named.empty()) return {};
    // Few: an entry that named the subject once and does so no more.
    return truth::each_present(tx, request_.tenant, tenant_, 0, sealing_,
                               [&](truth::StoredEntry&& stored) -> Result<void> {
                                   if (!named.contains(stored.row)) return {};
                                   const Entry& entry = stored.entry;
                                   Row row{entry.id, Why::mentions, {}, needles_of(entry)};
                                   if (stored.state == truth::RowState::live) {
                                       row.marks = DG_TRY(kept_marks(stored));
                                   }
                                   take(stored.row, std::move(row));
                                   return {};
                               });
}

/// What comes into a session after this is new.
Result<void> Belongings::read_sessions(truth::SessionTruth& sessions) {
    return sessions.each_state(
        request_.tenant, [&](truth::StoredEntry&& stored, bool former) -> Result<void> {
            if (!former) return judge_entry(stored);
            auto& needles = former_[stored.row];
            for (const Needle n : needles_of(stored.entry)) needles.push_back(n);
            // Its states come after all that are there now.
            if (rows_.contains(stored.row) || !subject_ || !why(stored.entry)) return {};
            take(stored.row, {stored.entry.id, Why::mentions, {}, needles_of(stored.entry)});
            return {};
        });
}

void Belongings::take_derived() {
    for (bool more = true; more;) {
        more = false;
        for (auto at = derived_.begin(); at != derived_.end();) {
            const bool of_it = std::ranges::any_of(
                at->second.sources, [&](const std::string& id) { return ids_.contains(id); });
            const auto here = at++;
            if (!of_it) continue;
            const truth::RowId number = here->first;
            Row row = std::move(here->second.row);
            take(number, std::move(row));
            more = true;
        }
    }
}

void Belongings::take_derived_facts() {
    std::erase_if(sourced_, [&](const facts::Assertion& said) {
        const bool all = std::ranges::all_of(
            said.sources, [&](const SourceSpan& span) { return ids_.contains(span.source); });
        if (all) facts_.insert(said.id);
        return all;
    });
}

Result<void> Belongings::read_checkpoints(Transaction& tx) {
    return tx.query(
        "SELECT task, number, memory, scope_user, scope_agent, scope_session, scope_run, name, "
        "result, reflection, next_steps, state FROM task_checkpoint WHERE tenant = $1",
        {request_.tenant}, [&](const base::store::Row& row) {
            const Scope scope{"", std::string(row.text(3)), std::string(row.text(4)),
                              std::string(row.text(5)), std::string(row.text(6))};
            bool mine = in_scope(scope) || ids_.contains(std::string(row.text(2)));
            if (subject_ && !mine) {
                mine = subject_->is(scope.user) || subject_->named_in(row.text(0));
                for (int column = 7; column <= 11 && !mine; ++column) {
                    mine = subject_->named_in(row.text(column));
                }
            }
            if (mine) checkpoints_.push_back({std::string(row.text(0)), row.integer(1)});
            return true;
        });
}

Result<void> Belongings::read_blocks(Transaction& tx) {
    return tx.query(
        "SELECT user_name, agent, name, body, description FROM profile_version WHERE tenant = $1",
        {request_.tenant}, [&](const base::store::Row& row) {
            const Block block{std::string(row.text(0)), std::string(row.text(1)),
                              std::string(row.text(2))};
            bool mine = in_scope({"", block.user, block.agent, "", ""});
            if (subject_ && !mine) {
                mine = subject_->is(block.user) || subject_->is(block.name) ||
                       subject_->named_in(row.text(3)) || subject_->named_in(row.text(4));
            }
            if (mine) blocks_.insert(block);
            return true;
        });
}

/// Passages of a document are memories with its names as their scope; those that had the words of
/// another document's are that one's, and its own may have become others'.
Result<void> Belongings::read_document(Transaction& tx) {
    const DocumentName& name = request_.target.document;
    const knowledge::Place place{request_.tenant, name.base, name.id};
    if (!DG_TRY(knowledge::load_document(tx, place))) {
        return fail(Code::not_found,
                    "there is no document '{}' in the knowledge base '{}'; nothing was forgotten",
                    name.id, name.base);
    }
    for (const auto& passage : DG_TRY(knowledge::load_passages(tx, place))) {
        wanted_.insert(passage.memory);
        if (const auto needle = needle_of(passage.own_text)) needles_.push_back(*needle);
    }
    const std::string text = DG_TRY(knowledge::load_text(tx, place));
    constexpr std::size_t kNeedleEvery = 2'048;
    for (std::size_t at = 0; at < text.size(); at += kNeedleEvery) {
        const auto needle = needle_of(std::string_view(text).substr(at, kNeedleEvery));
        if (needle) needles_.push_back(*needle);
    }
    return {};
}

Result<void> Belongings::spare_shared(Transaction& tx) {
    const DocumentName& name = request_.target.document;
    for (auto at = rows_.begin(); at != rows_.end();) {
        const auto here = at++;
        const auto stands = DG_TRY(knowledge::find_passage(tx, request_.tenant, here->second.id));
        const bool is_shared = std::ranges::any_of(stands, [&](const auto& one) {
            return one.second.base != name.base || one.second.id != name.id;
        });
        if (!is_shared) continue;
        ids_.erase(here->second.id);
        rows_.erase(here);
    }
    return {};
}

Result<void> Belongings::read_made_from(Transaction& tx, truth::SessionTruth* sessions,
                                        std::span<const std::string> sources) {
    tenant_ = DG_TRY(truth::tenant_number(tx, request_.tenant));
    ids_.insert(sources.begin(), sources.end());
    DG_TRY(read_facts(tx));
    seen_ = DG_TRY(truth::last_sequence(tx, tenant_));
    const auto judge = [this](truth::StoredEntry&& stored) { return judge_entry(stored); };
    DG_TRY(truth::each_sourced(tx, request_.tenant, tenant_, sealing_, judge));
    if (sessions != nullptr) DG_TRY(read_sessions(*sessions));
    for (const auto& said : sourced_) {
        for (const SourceSpan& span : said.sources) {
            if (ids_.contains(span.source)) sources_.push_back(span.source);
        }
    }
    take_derived();
    take_derived_facts();
    DG_TRY(read_versions(tx));
    return read_checkpoints(tx);
}

Result<void> Belongings::read(Transaction& tx, truth::SessionTruth* sessions) {
    if (!request_.target.document.empty()) DG_TRY(read_document(tx));
    wanted_.insert(request_.target.ids.begin(), request_.target.ids.end());
    tenant_ = DG_TRY(truth::tenant_number(tx, request_.tenant));
    DG_TRY(read_facts(tx));
    DG_TRY(read_entries(tx));
    DG_TRY(read_versions(tx));
    if (sessions != nullptr) DG_TRY(read_sessions(*sessions));
    if (!request_.target.document.empty()) DG_TRY(spare_shared(tx));
    take_derived();
    for (const std::string& id : request_.target.ids) {
        if (ids_.contains(id)) continue;
        return fail(Code::not_found, "tenant {} has no memory {}; nothing was forgotten",
                    request_.tenant, id);
    }
    take_derived_facts();
    DG_TRY(read_blocks(tx));
    return read_checkpoints(tx);
}

Result<void> Belongings::read_sealed(Transaction& tx, Sequence after) {
    for (const truth::KeyId key : keys_) {
        DG_TRY(
            truth::each_sealed(tx, tenant_, key, after, [&](truth::RowId row, const MemoryId& id) {
                ids_.insert(id);
                keyed_.emplace(row, id);
                derived_.erase(row);
            }));
    }
    return {};
}

Result<void> Belongings::read_keyed(Transaction& tx,
                                    std::span<const truth::SubjectKeys::Wrapped> keys) {
    for (const auto& key : keys) keys_.push_back(key.id);
    tenant_ = DG_TRY(truth::tenant_number(tx, request_.tenant));
    DG_TRY(read_facts(tx));
    seen_ = DG_TRY(truth::last_sequence(tx, tenant_));
    DG_TRY(read_sealed(tx, 0));
    DG_TRY(
        truth::each_sourced(tx, request_.tenant, tenant_, sealing_,
                            [this](truth::StoredEntry&& stored) { return judge_entry(stored); }));
    take_derived();
    take_derived_facts();
    DG_TRY(read_blocks(tx));
    return read_checkpoints(tx);
}

Result<void> Belongings::read_on(Transaction& tx) {
    if (tenant_ == 0) tenant_ = DG_TRY(truth::tenant_number(tx, request_.tenant));
    DG_TRY(read_facts(tx));
    DG_TRY(read_sealed(tx, seen_));
    const bool of_document = !request_.target.document.empty() && !wanted_.empty();
    DG_TRY(read_entries(tx));
    if (of_document) DG_TRY(spare_shared(tx));
    take_derived();
    take_derived_facts();
    for (auto& [row, kept] : rows_) {
        const auto before = former_.find(row);
        if (before == former_.end()) continue;
        kept.needles.insert(kept.needles.end(), before->second.begin(), before->second.end());
    }
    return {};
}

std::vector<std::string> Belongings::names() const {
    if (!subject_) return {};
    return {subject_->names().begin(), subject_->names().end()};
}

std::vector<std::string> Belongings::ids() const {
    std::vector<std::string> ids(facts_.begin(), facts_.end());
    for (const auto& [row, kept] : rows_) ids.push_back(kept.id);
    for (const auto& [row, id] : keyed_) ids.push_back(id);
    return ids;
}

std::string Belongings::ids_sha256() const {
    std::vector<std::string> ids = this->ids();
    ids.insert(ids.end(), elsewhere_.begin(), elsewhere_.end());
    std::ranges::sort(ids);
    std::string text;
    for (const std::string& id : ids) text += id + "\n";
    return base::sha256_hex(text);
}

Counts Belongings::counts() const {
    const auto brief = std::ranges::distance(rows_.lower_bound(truth::kSessionRow), rows_.end());
    return {{"memories", rows_.size() + keyed_.size()},
            {"of_sessions", static_cast<std::uint64_t>(brief)},
            {"facts", facts_.size()},
            {"aliases", aliases_.size()},
            {"checkpoints", checkpoints_.size()},
            {"profile_blocks", blocks_.size()}};
}

}  // namespace memory::forget
