#pragma once
// What a policy file may say: the one table behind its check and its JSON Schema.

#include "sphere/policy/shape.h"

namespace sphere::policy {

const Shape& policy_shape();

}  // namespace sphere::policy
