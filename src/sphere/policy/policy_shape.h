#pragma once
// What a policy file may say: the one table behind its check and its JSON Schema.

#include "base/document/shape.h"

namespace sphere::policy {

using base::Field;
using base::Shape;

const Shape& policy_shape();

}  // namespace sphere::policy
