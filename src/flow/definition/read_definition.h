#pragma once
// From the text of a workflow file to a Definition, or to everything that is wrong with it.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/document/document.h"
#include "flow/definition/definition.h"

namespace flow {

/// Either a definition and no faults, or faults in the order of the text.
struct ReadDefinition {
    std::shared_ptr<const Definition> definition;
    std::vector<base::Fault> faults;
};

/// YAML, or JSON when `file` ends in .json. At most 1 MiB; gathers at most 200 faults.
ReadDefinition read_definition_faults(std::string_view text, const std::string& file);

/// Errors: invalid_argument: the first faults, a line each, as "file:line:column: ..."; the subject
/// is the first place.
base::Result<std::shared_ptr<const Definition>> read_definition(std::string_view text,
                                                                const std::string& file);

/// "file:line:column: message"
std::string fault_line(const std::string& file, const base::Fault& fault);

}  // namespace flow
