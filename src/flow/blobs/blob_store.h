#pragma once
// Where values that are too large for an event are kept: by run and by the SHA-256 of their bytes.
// Files beside the journal (file_blob_store.h), or a table of a shared database.

#include <functional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "flow/run/run_id.h"

namespace flow {

/// Thread-safe.
class BlobStore {
public:
    virtual ~BlobStore() = default;
    /// Durable when it returns its hash, 64 lower-case hex digits; the same bytes again cost
    /// nothing. Errors: resource_exhausted (full disk), the disk's.
    virtual base::Result<std::string> put(RunId run, std::string_view bytes) = 0;
    /// Errors: not_found, data_loss (they are not what was put).
    virtual base::Result<std::string> get(RunId run, std::string_view hash) = 0;
    /// It may be gone already. Errors: the disk's.
    virtual base::Result<void> remove(RunId run, std::string_view hash) = 0;
    /// Removes those of runs that `known` does not know: a process died before their start was
    /// durable, or they were dropped. Gives how many. Not beside put.
    virtual base::Result<std::size_t> collect(
        const std::function<base::Result<bool>(RunId)>& known) = 0;
};

}  // namespace flow
