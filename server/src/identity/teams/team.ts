import { Problem } from '../../platform/problem.ts'

export interface Team {
  readonly organizationId: string
  readonly id: string
  readonly name: string
  readonly description: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface TeamMember {
  readonly userId: string
  readonly isLead: boolean
}

export function teamNotFound(): Problem {
  return new Problem(404, 'team.not_found', 'Team not found')
}

export function nameTaken(): Problem {
  return new Problem(409, 'team.name_taken', 'Another team has this name. Choose another one.')
}

export function notInTeam(): Problem {
  return new Problem(404, 'team.no_member', 'This person is not in the team')
}

/** 403 for whoever neither manages the organization nor leads the team. */
export function notLead(): Problem {
  return new Problem(403, 'team.not_lead', 'Only administrators and the leads of this team change it.')
}
