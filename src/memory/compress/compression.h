#pragma once
// Plans of plan.h over what the store holds: previewed, applied in one transaction, taken back.
// [AInfra 2.2.3] CompressMemories.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "memory/compress/plan.h"
#include "memory/filter.h"

namespace memory::compress {

using CompressionId = std::string;  ///< "compress-" and 26 characters that sort by time

struct Request {
    Scope scope = {};  ///< the tenant, and whatever narrows it
    Policy policy = {};
    std::string by = {};
    /// A request repeated with the same key gets the first one's answer.
    std::string idempotency_key = {};
    /// Summaries are written by the store's model, where it has one and that one can; else picked.
    bool by_model = false;
};

/// A plan, and what it would save.
struct Preview {
    Plan plan = {};
    std::uint64_t entries_before = 0, entries_after = 0;
    std::uint64_t tokens_before = 0, tokens_after = 0;
};

/// What was done; no text in it.
struct Compression {
    CompressionId id = {};
    Scope scope = {};
    std::string by = {};
    UnixMs applied_unix_ms = 0;
    UnixMs undone_unix_ms = 0;      ///< 0: stands
    UnixMs undo_until_unix_ms = 0;  ///< while the removed ones' history is kept
    std::uint64_t entries_before = 0, entries_after = 0;
    std::uint64_t tokens_before = 0, tokens_after = 0;
    std::uint64_t merged = 0, dropped = 0, summaries = 0;
    std::uint64_t summaries_by_model = 0;  ///< the others are sentences that were picked
    std::string summary_error = {};        ///< why the model did not write one of them
    bool operator==(const Compression&) const = default;
};

class Compressor {
public:
    virtual ~Compressor() = default;
    /// Changes nothing. Errors: invalid_argument naming the policy's field; payload_too_large (more
    /// than 100,000 entries: narrow the scope).
    virtual base::Result<Preview> preview(const Request& request) = 0;
    /// The plan of this moment, in one transaction: summaries name their sources, which are removed
    /// as with "compressed" in their history. An entry changed meanwhile: nothing is done.
    /// Errors: preview's; failed_precondition (changed meanwhile: ask again).
    virtual base::Result<Compression> apply(const Request& request) = 0;
    /// Takes summaries out and brings their sources back, in one transaction; those forgotten or
    /// changed since stay as they are. Errors: not_found, failed_precondition (too late; undone).
    virtual base::Result<Compression> undo(std::string_view tenant, std::string_view id,
                                           std::string_view by) = 0;
    virtual base::Result<Compression> get(std::string_view tenant, std::string_view id) = 0;
    /// Newest first.
    virtual base::Result<std::vector<Compression>> list(std::string_view tenant,
                                                        std::uint32_t limit) = 0;
};

/// Errors: invalid_argument naming the field.
base::Result<void> check_policy(const Policy& policy);

}  // namespace memory::compress
