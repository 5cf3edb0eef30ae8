#pragma once
// compression.h over a truth.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/core/clock.h"
#include "memory/compress/compression.h"
#include "memory/compress/summarizer.h"
#include "memory/truth/truth.h"

namespace memory::compress {

/// Called with what indexes must hear before apply and undo return.
using Hear = std::function<void(std::string_view tenant, std::span<const truth::Change>)>;

/// Makes the tables where they are missing. `model`: whose vectors tell likeness; "": words do.
/// `summarizer`: null: none. `undo_ms`: how long the truth keeps what was removed. Errors: the
/// store's.
base::Result<std::unique_ptr<Compressor>> make_compressor(truth::Truth& truth, std::string model,
                                                          std::int64_t undo_ms,
                                                          const base::Clock& clock, Hear hear,
                                                          std::shared_ptr<Summarizer> summarizer);

}  // namespace memory::compress
