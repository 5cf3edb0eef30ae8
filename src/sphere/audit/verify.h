#pragma once
// Reads a whole audit log and names what was removed, altered, moved or cut off.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "sphere/audit/chain.h"

namespace sphere::audit {

struct Fault {
    enum class Kind : std::uint8_t {
        altered,       ///< the line does not have the hash it states, or is no line at all
        missing,       ///< lines between this one and the one before are gone
        out_of_order,  ///< a line that belongs elsewhere, or is there twice
        forked,        ///< whole in itself, but chained to another past than the one before it
        cut_off,       ///< the log ends before its head, or before what was expected
        head_damaged,  ///< the head file is missing or was not written by the log
    };
    Kind kind = Kind::altered;
    std::string file;
    std::uint64_t line = 0;  ///< from 1; 0: the file as a whole
    std::string text;        ///< what was found and expected
    bool operator==(const Fault&) const = default;
};
std::string_view fault_name(Fault::Kind kind);

struct VerifyReport {
    std::uint64_t segments = 0, lines = 0;
    ChainHead head;  ///< of the last line read
    /// Bytes of an unfinished last line behind the head: being written now, or by a process that
    /// died; the next open moves them aside. Not a fault, nothing of it was acknowledged.
    std::uint64_t unfinished_bytes = 0;
    std::vector<Fault> faults;  ///< at most kFaultsMax
    bool ok() const { return faults.empty(); }

    static constexpr std::size_t kFaultsMax = 100;
};

/// May run beside the writer. With `expected`, a head that was kept elsewhere, the line of that
/// number must be there with that hash: this is what tells a chain that was made anew.
/// Errors: those of reading; not_found when there is no audit log in `dir`.
base::Result<VerifyReport> verify(const std::string& dir,
                                  const std::optional<ChainHead>& expected = std::nullopt);

}  // namespace sphere::audit
