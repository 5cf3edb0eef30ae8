#pragma once
// What is asked to be forgotten: checked, named, hashed for the receipt.

#include <string>

#include "memory/forget/forget.h"

namespace memory::forget {

/// "document", "ids", "scope" or "subject".
std::string kind_of(const Target& target);
/// Errors: invalid_argument (not one of the kinds, a subject without a letter), payload_too_large.
base::Result<void> check(const Request& request);

}  // namespace memory::forget
