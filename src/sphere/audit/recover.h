#pragma once
// What an open finds: where the chain ends, and what behind it was never finished.

#include <string>

#include "base/core/result.h"
#include "sphere/audit/audit_log.h"
#include "sphere/audit/chain.h"

namespace sphere::audit {

struct RecoveredEnd {
    ChainHead head;           ///< of the last good line
    std::string segment;      ///< path to append to; empty: none yet
    std::uint64_t bytes = 0;  ///< of that segment
    Recovery recovery;
};

/// Reads the last segment, moves an unfinished end to torn-<seq>-<n> and cuts it off.
/// Errors: data_loss when a line up to the head is missing or wrong.
base::Result<RecoveredEnd> recover_end(const std::string& dir);

}  // namespace sphere::audit
