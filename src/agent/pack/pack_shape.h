#pragma once
#include "base/document/shape.h"

namespace agent {

/// What a pack may say. The reader and the JSON Schema are made of it.
const base::Shape& pack_shape();

}  // namespace agent
