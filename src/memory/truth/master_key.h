#pragma once
// The key that wraps the keys of subjects: a file of its own, so that a copy of the store alone
// says nothing.

#include <string>

#include "base/core/result.h"
#include "base/files/aead.h"

namespace memory::truth {

/// The key in `path`; made there (0600) where there is none and `may_make`. Errors:
/// failed_precondition (missing, or others may read it), data_loss (is no key).
base::Result<base::SecretKey> master_key(const std::string& path, bool may_make);

/// Tells keys apart, and says nothing of them.
std::string fingerprint(const base::SecretKey& key);

}  // namespace memory::truth
