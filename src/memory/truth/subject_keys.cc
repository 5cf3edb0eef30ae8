#include "memory/truth/subject_keys.h"

#include "base/core/rng.h"
#include "memory/truth/master_key.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::SecretKey;
using base::store::Blob;
using base::store::Transaction;

constexpr std::size_t kRememberedMax = 100'000;
constexpr std::string_view kOfOwner = "tenant = $1 AND user_name = $2 AND agent = $3";
constexpr std::size_t kBothBytes = 2 * SecretKey::kBytes;

std::vector<std::string> schema_steps(const base::store::Dialect& dialect) {
    return {
        "CREATE TABLE key_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        "CREATE TABLE subject_key (key_id BIGINT PRIMARY KEY, tenant TEXT NOT NULL, user_name "
        "TEXT NOT NULL, agent TEXT NOT NULL, wrapped " +
            std::string(dialect.blob) + " NOT NULL)",
        "CREATE UNIQUE INDEX subject_key_owner ON subject_key(tenant, user_name, agent)",
    };
}

std::string owner_of(std::string_view tenant, std::string_view user, std::string_view agent) {
    std::string owner(tenant);
    owner += '\0';
    owner += user;
    owner += '\0';
    owner += agent;
    return owner;
}

/// What a wrapped key is bound to: nobody's key passes for somebody else's.
std::string bound_to(std::string_view owner, KeyId id) {
    return fmt::format("subject key {} {}", id, owner);
}

}  // namespace

Result<std::unique_ptr<SubjectKeys>> SubjectKeys::open(const std::string& location,
                                                       const std::string& key_file) {
    auto store = DG_TRY(base::store::Store::open(location, {.readers = 2, .page_cache_mib = 2}));
    const auto steps = schema_steps(store->dialect());
    DG_TRY(base::store::migrate(*store, "memory keys", steps));
    std::string known;
    DG_TRY(store->read([&](Transaction& tx) {
        return tx.query("SELECT value FROM key_meta WHERE name = 'master'", {},
                        [&](const base::store::Row& row) {
                            known = row.text(0);
                            return true;
                        });
    }));
    SecretKey master = DG_TRY(master_key(key_file, known.empty()));
    const std::string mine = fingerprint(master);
    if (!known.empty() && known != mine) {
        return fail_on("memory.key_file", Code::failed_precondition,
                       "{} is not the key file that the memories in {} were sealed with; put the "
                       "right one back, or name it in memory.key_file",
                       key_file, location.starts_with("postgres") ? "the database" : location);
    }
    if (known.empty()) {
        DG_TRY(store->write([&](Transaction& tx) -> Result<void> {
            DG_TRY(
                tx.run("INSERT INTO key_meta(name, value) VALUES ('master', $1) ON CONFLICT "
                       "(name) DO NOTHING",
                       {std::string_view(mine)}));
            return {};
        }));
    }
    const bool shared = store->shared();
    return std::unique_ptr<SubjectKeys>(
        new SubjectKeys(std::move(store), std::move(master), shared ? "" : location));
}

Result<std::optional<SubjectKeys::Row>> SubjectKeys::load(
    Transaction& tx, std::string_view where, std::initializer_list<base::store::Parameter> values) {
    std::optional<Row> found;
    DG_TRY(tx.query(fmt::format("SELECT key_id, tenant, user_name, agent, wrapped FROM "
                                "subject_key WHERE {}",
                                where),
                    values, [&](const base::store::Row& row) {
                        const auto text = [&](int column) { return std::string(row.text(column)); };
                        found = Row{row.integer(0), text(1), text(2), text(3), text(4)};
                        return true;
                    }));
    return found;
}

Result<SubjectKeyPtr> SubjectKeys::unwrap(const Row& row) const {
    const auto both = base::unseal(master_, row.wrapped,
                                   bound_to(owner_of(row.tenant, row.user, row.agent), row.id));
    if (!both || both->size() != kBothBytes) {
        return fail(Code::data_loss,
                    "a key of tenant {} cannot be unwrapped: its row is damaged; restore the keys "
                    "from a backup",
                    row.tenant);
    }
    const std::string_view bytes = *both;
    return std::make_shared<const SubjectKey>(row.id, SecretKey(bytes.substr(0, SecretKey::kBytes)),
                                              SecretKey(bytes.substr(SecretKey::kBytes)));
}

void SubjectKeys::remember(const std::string& owner, const SubjectKeyPtr& key) {
    const std::lock_guard lock(mutex_);
    if (by_id_.size() >= kRememberedMax) {
        by_id_.clear();
        by_owner_.clear();
    }
    by_id_[key->id] = key;
    if (!store_->shared()) by_owner_[owner] = key;  // elsewhere it may be erased
}

Result<SubjectKeyPtr> SubjectKeys::look(const std::string& owner, const Scope& scope) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = by_owner_.find(owner); known != by_owner_.end()) {
            return known->second;
        }
    }
    std::optional<Row> row;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        row = DG_TRY(load(tx, kOfOwner, {scope.tenant, scope.user, scope.agent}));
        return {};
    }));
    if (!row) return SubjectKeyPtr();
    SubjectKeyPtr key = DG_TRY(unwrap(*row));
    remember(owner, key);
    return key;
}

Result<KeyId> SubjectKeys::known(const Scope& scope) {
    const auto key = DG_TRY(look(owner_of(scope.tenant, scope.user, scope.agent), scope));
    return key ? key->id : 0;
}

Result<SubjectKeyPtr> SubjectKeys::of(const Scope& scope) {
    const std::string owner = owner_of(scope.tenant, scope.user, scope.agent);
    if (auto key = DG_TRY(look(owner, scope))) return key;
    const SecretKey content = SecretKey::random(), marks = SecretKey::random();
    const auto id = static_cast<KeyId>(base::entropy64() >> 2 | 1);
    const std::string wrapped = base::seal(
        master_, std::string(content.bytes()) + std::string(marks.bytes()), bound_to(owner, id));
    std::optional<Row> row;
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        DG_TRY(
            tx.run("INSERT INTO subject_key(key_id, tenant, user_name, agent, wrapped) VALUES ($1, "
                   "$2, $3, $4, $5) ON CONFLICT (tenant, user_name, agent) DO NOTHING",
                   {id, scope.tenant, scope.user, scope.agent, Blob{wrapped}}));
        row = DG_TRY(load(tx, kOfOwner, {scope.tenant, scope.user, scope.agent}));
        return {};
    }));
    SubjectKeyPtr key = DG_TRY(unwrap(*row));
    remember(owner, key);
    return key;
}

Result<SubjectKeyPtr> SubjectKeys::find(KeyId id) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = by_id_.find(id); known != by_id_.end()) return known->second;
    }
    std::optional<Row> row;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        row = DG_TRY(load(tx, "key_id = $1", {id}));
        return {};
    }));
    if (!row) {
        const std::lock_guard lock(mutex_);
        if (by_id_.size() < kRememberedMax) by_id_[id] = nullptr;
        return SubjectKeyPtr();
    }
    SubjectKeyPtr key = DG_TRY(unwrap(*row));
    remember(owner_of(row->tenant, row->user, row->agent), key);
    return key;
}

Result<std::vector<SubjectKeys::Wrapped>> SubjectKeys::within(std::string_view tenant,
                                                              const Scope& only) {
    std::vector<Wrapped> found;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query(
            "SELECT key_id, wrapped FROM subject_key WHERE tenant = $1 AND ($2 = '' OR user_name = "
            "$2) AND ($3 = '' OR agent = $3) ORDER BY key_id",
            {tenant, only.user, only.agent}, [&](const base::store::Row& row) {
                found.push_back({row.integer(0), std::string(row.text(1))});
                return true;
            });
    }));
    return found;
}

Result<void> SubjectKeys::erase(std::span<const KeyId> ids) {
    std::int64_t gone = 0;
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        gone = 0;
        for (const KeyId id : ids) {
            gone += DG_TRY(tx.run("DELETE FROM subject_key WHERE key_id = $1", {id}));
        }
        return {};
    }));
    {
        const std::lock_guard lock(mutex_);
        for (const KeyId id : ids) {
            by_id_[id] = nullptr;
            std::erase_if(by_owner_, [&](const auto& known) { return known.second->id == id; });
        }
    }
    if (gone == 0) return {};
    return store_->scrub();
}

std::vector<std::string> SubjectKeys::files() const {
    if (path_.empty()) return {};
    return {path_, path_ + "-wal", path_ + "-shm", path_ + "-journal"};
}

Result<std::uint64_t> SubjectKeys::count() {
    std::uint64_t count = 0;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query("SELECT count(*) FROM subject_key", {}, [&](const base::store::Row& row) {
            count = static_cast<std::uint64_t>(row.integer(0));
            return true;
        });
    }));
    return count;
}

}  // namespace memory::truth
