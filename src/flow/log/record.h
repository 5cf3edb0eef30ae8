#pragma once
// One run's part of a commit, as bytes in the journal.

#include <string>
#include <string_view>

#include "base/core/result.h"
#include "flow/run_log.h"

namespace flow {

struct Record {
    RunChange change;
    std::uint64_t previous = 0;  ///< address of the run's last record; 0: this is its first
    bool whole_head = false;     ///< the head's names are in it, not only what changes
    std::uint64_t count = 0;     ///< of its events, also where they are not read
};

std::string encode_record(const RunChange& change, std::uint64_t previous, bool whole_head);
/// `events` false: only the head is read. Errors: data_loss.
base::Result<Record> decode_record(std::string_view bytes, bool events = true);

}  // namespace flow
