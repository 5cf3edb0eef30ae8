#pragma once
// Names for the tensor types of other programs' files, so that a refusal can say what was found.

#include <cstdint>
#include <string>

namespace engine {

/// "IQ4_XS (23)", or the bare number when it has no known name.
std::string describe_file_type(std::uint32_t number);
/// "F32, F16, ..., Q6_K, BF16".
std::string supported_type_names();

}  // namespace engine
