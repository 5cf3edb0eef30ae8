#pragma once
// What is kept of what entries say: as it is, or sealed with the key of whom they belong to
// (subject_keys.h). Sealed are content, speaker, media and metadata, embeddings, and the marks that
// find equals. Plain stay names, times, numbers and links, by which a database finds rows.

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/truth/subject_keys.h"

namespace memory::truth {

/// The part of an entry that is sealed, as one text.
std::string said_of(const Entry& entry);
/// Errors: data_loss.
base::Result<void> read_said(std::string_view said, Entry& entry);

/// Thread-safe.
class Sealing {
public:
    Sealing() = default;  ///< nothing is sealed, and nothing sealed can be read
    /// `seals`: what is new. `all`: there is nothing plain from before.
    Sealing(std::unique_ptr<SubjectKeys> keys, bool seals, bool all)
        : keys_(std::move(keys)), seals_(seals), all_(all) {}

    /// Of what is never sealed.
    static const Sealing& none();

    bool seals() const { return seals_; }
    SubjectKeys* keys() const { return keys_.get(); }  ///< null: there are none
    /// Everything is sealed.
    bool all() const { return seals_ && all_; }
    void now_all() { all_ = true; }
    /// Odd while older rows are being sealed, another number after: who read a row under an even
    /// one that is still the same has it as it is.
    std::uint64_t rewrites() const { return rewrites_; }
    void begin_rewrite() { ++rewrites_; }
    void end_rewrite() { ++rewrites_; }
    /// Some entries may be sealed, others plain.
    bool mixed() const { return keys_ != nullptr && !all(); }

    /// Of a new entry: 0 where it stays plain. Within a write.
    base::Result<KeyId> key_for(const Scope& scope) const;
    /// `place`: where the bytes stay. Pre: the key was not erased: data_loss.
    base::Result<std::string> seal(KeyId key, std::string_view plain, std::string_view place) const;
    /// None: the key was erased. Errors: failed_precondition (there are no keys), data_loss.
    base::Result<std::optional<std::string>> unseal(KeyId key, std::string_view sealed,
                                                    std::string_view place) const;
    /// Marks as they are kept beside what has this key; as they are for 0. None of an erased one.
    base::Result<std::vector<std::int64_t>> marks(KeyId key, std::vector<std::int64_t> plain) const;

private:
    base::Result<SubjectKeyPtr> find(KeyId key) const;

    const std::unique_ptr<SubjectKeys> keys_;
    const bool seals_ = false;
    std::atomic<bool> all_ = false;
    std::atomic<std::uint64_t> rewrites_ = 0;
};

}  // namespace memory::truth
