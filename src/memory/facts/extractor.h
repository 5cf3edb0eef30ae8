#pragma once
// The port to whatever reads statements out of texts: rules, or a model.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "memory/facts/extract.h"

namespace memory::facts {

/// Thread-safe.
class Extractor {
public:
    virtual ~Extractor() = default;
    /// Names it and its version; under another name everything is read anew.
    virtual const std::string& id() const = 0;
    /// What `text` says. Errors: unavailable (asked again later); any other code: of this text
    /// alone, which then says nothing.
    virtual base::Result<std::vector<Assertion>> extract(std::string_view text,
                                                         const ExtractContext& context) = 0;
};

/// facts::extract as one.
std::shared_ptr<Extractor> rule_extractor();

}  // namespace memory::facts
