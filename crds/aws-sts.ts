// Credentials of an AWS role for the caller, chosen by the claims of its token.
import * as z from 'zod'
import { filled, inCluster, list, text, whole } from './bound.ts'
import { exactlyOne, rule } from './rule.ts'

const RoleArn = text(2048).regex(/^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:role\/[0-9A-Za-z_+=,.@/-]+$/, {
  error: 'must be the ARN of an IAM role',
})

const Mapping = exactlyOne(
  z.strictObject({
    claim: filled(253).optional().describe('Value that the role claim must have.'),
    matcher: filled(4096).optional().describe('CEL expression over the claims.'),
    priority: whole(0).optional().describe('Mappings with a lower number come first.'),
    roleArn: RoleArn.describe('The role then.'),
  }),
  'claim',
  'matcher',
)

export const AwsSts = rule(
  z.strictObject({
    region: filled(63)
      .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]+$/, { error: 'must be an AWS region such as eu-central-1' })
      .describe('AWS region.'),
    service: inCluster(text(63), 'aws-mcp').describe('Name of the service in signatures.'),
    roleClaim: inCluster(text(253), 'groups').describe('Claim that mappings look at.'),
    roleMappings: list(Mapping, 64).optional().describe('Which callers get which role.'),
    fallbackRoleArn: RoleArn.optional().describe('The role of all others; none when left out.'),
    sessionDuration: inCluster(whole(900, 43_200), 3600).describe('How long credentials are valid, in seconds.'),
    sessionNameClaim: inCluster(text(253), 'sub').describe('Claim that names the session.'),
    subjectProviderName: text(63)
      .optional()
      .describe("Upstream provider whose token is used; the caller's when left out."),
  }),
  (fields, refuse) => {
    if (
      fields.fallbackRoleArn === undefined &&
      !(Array.isArray(fields.roleMappings) && fields.roleMappings.length > 0)
    ) {
      refuse(['roleMappings'], 'is required, or fallbackRoleArn')
    }
  },
  {
    rule: 'has(self.fallbackRoleArn) || (has(self.roleMappings) && size(self.roleMappings) > 0)',
    message: 'roleMappings or fallbackRoleArn is required',
  },
)
