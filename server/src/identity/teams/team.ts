import { refusal } from '../../platform/problem.ts'

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

export const teamNotFound = refusal(404, 'team.not_found', 'Team not found')
export const nameTaken = refusal(409, 'team.name_taken', 'Another team has this name. Choose another one.')
export const notInTeam = refusal(404, 'team.no_member', 'This person is not in the team')
export const notLead = refusal(403, 'team.not_lead', 'Only administrators and the leads of this team can change it.')
